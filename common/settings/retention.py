"""How long things are kept, where the key they came by says nothing else."""

from pydantic import BaseModel, Field


class RetentionSettings(BaseModel):
    """How long things are kept, where the key they came by says nothing else."""

    image_days: int | None = Field(None, ge=1, description="How long images are kept; by default until deleted.")
    prompt_days: int | None = Field(
        None,
        ge=1,
        description="How long the words of a job that has ended are kept: prompts and metadata; by default for ever.",
    )
    asset_days: int = Field(7, ge=1, description="How long an uploaded image is kept.")
