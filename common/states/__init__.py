"""The states of jobs, campaigns and webhooks, and their transitions, without the tables that store them."""
