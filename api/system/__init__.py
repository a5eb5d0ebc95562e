"""System endpoints: health, models, usage, the overview and the OpenAPI document."""
