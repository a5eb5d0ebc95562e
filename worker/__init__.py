"""The press: a worker process that claims jobs, generates images, checks and marks them, and publishes them."""
