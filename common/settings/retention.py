"""Settings: how long data is kept, unless the API key says otherwise."""

from pydantic import BaseModel, Field

LEAST_AUDIT_DAYS = 30
"""A trigger of the database keeps audit events from being deleted sooner."""


class RetentionSettings(BaseModel):
    """Settings: how long data is kept, unless the API key says otherwise."""

    image_days: int | None = Field(None, ge=1, description="Days that images are kept. Default: until deleted.")
    prompt_days: int | None = Field(
        None,
        ge=1,
        description="Days that prompts and metadata of a finished job are kept. Default: forever.",
    )
    audit_days: int = Field(
        730, ge=LEAST_AUDIT_DAYS, description="Days that the audit trail is kept; the database refuses less than 30."
    )
    asset_days: int = Field(7, ge=1, description="Days that an uploaded image is kept.")
