"""What every view needs of HTTP: strict JSON, validation, problems, answers, server-sent events."""
