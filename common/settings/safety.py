"""What pictures must pass before they leave."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.words import PREFIX


class Safety(BaseModel):
    """What pictures must pass before they leave."""

    checker: str = Field(
        "open_nsfw",
        pattern=r"^(open_nsfw|scripted)$",
        description="Safety checker; `scripted` passes all and is for tests.",
    )
    safety_review_above: float = Field(0.2, ge=0, le=1, description="Score from which a picture is flagged.")
    safety_block_above: float = Field(0.8, ge=0, le=1, description="Score from which a picture is blocked.")

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.safety_review_above > self.safety_block_above:
            raise ValueError(f"{PREFIX}SAFETY_REVIEW_ABOVE must not exceed {PREFIX}SAFETY_BLOCK_ABOVE")
        return self
