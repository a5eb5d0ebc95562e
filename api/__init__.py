"""HTTP in, HTTP out: the thin layer in front of the database."""
