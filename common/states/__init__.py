"""The states of jobs, campaigns and webhooks, their transitions and the acts upon them, without the tables."""
