"""In-memory state of the running API, and the context that provides it to the views."""
