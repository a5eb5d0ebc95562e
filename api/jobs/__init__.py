"""``/v1/jobs`` and ``/v1/styles``: what is asked for, resolved, submitted and shown."""
