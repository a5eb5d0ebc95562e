"""HTTP utilities shared by all views: strict JSON, validation, problems, responses and server-sent events."""
