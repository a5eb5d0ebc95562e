"""Settings: how long data is kept, unless the API key says otherwise."""

from pydantic import BaseModel, Field


class RetentionSettings(BaseModel):
    """Settings: how long data is kept, unless the API key says otherwise."""

    image_days: int | None = Field(None, ge=1, description="Days that images are kept. Default: until deleted.")
    prompt_days: int | None = Field(
        None,
        ge=1,
        description="Days that prompts and metadata of a finished job are kept. Default: forever.",
    )
    asset_days: int = Field(7, ge=1, description="Days that an uploaded image is kept.")
