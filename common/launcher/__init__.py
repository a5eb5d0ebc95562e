"""Starts processes: the whole stack as one process tree, and sandboxed programs for untrusted files."""
