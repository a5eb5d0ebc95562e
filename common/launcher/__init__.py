"""Runs the whole stack as one process tree: restarts what dies, and stops everything on one signal."""
