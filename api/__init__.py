"""The HTTP API: a thin layer in front of the database."""
