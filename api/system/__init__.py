"""Health, models, usage, the overview and the OpenAPI document."""
