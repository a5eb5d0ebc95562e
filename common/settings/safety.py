"""What pictures must pass before they leave."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX, CommaSeparated

NO_CHECKER = "none"
STAND_IN = "scripted"
CHECKER = re.compile(r"open_nsfw|nsfwjs|scripted|none|(classifier|sd_checker):.+")


class SafetySettings(BaseModel):
    """What pictures must pass before they leave."""

    checker: CommaSeparated = Field(
        ("open_nsfw",),
        description="Safety checkers, separated by commas, of which the strictest counts: `open_nsfw`, `nsfwjs`,"
        " `classifier:DIRECTORY?label=NAME&sha256=DIGEST`, `sd_checker:DIRECTORY?sha256=DIGEST`. `scripted` passes all,"
        " is for tests, and refused unless `MODELS` is `painted`; `none` checks nothing.",
    )
    safety_off_acknowledged: bool = Field(
        False, description="The second setting that `CHECKER=none` needs: every job and image is stamped as unchecked."
    )
    safety_review_above: float = Field(
        0.2, ge=0, le=1, description="Score from which a picture is in the review band. Keys and jobs may be stricter."
    )
    safety_block_above: float = Field(
        0.8, ge=0, le=1, description="Score from which a picture is blocked. Keys and jobs may be stricter."
    )
    safety_review_action: Literal["flag", "blur", "block"] = Field(
        "flag", description="What happens to a picture in the review band: it is flagged, blurred or blocked."
    )
    max_rerolls: int = Field(
        2, ge=0, le=10, description="How often a job that asks for it is printed again when all of it was blocked."
    )
    fallback_image: Path | None = Field(
        None, description="Picture that takes the place of a blocked one where a job asks for that; by default none."
    )
    prompt_rules: Path | None = Field(
        None, description="TOML file of rules for prompts, beside those that always hold; by default none."
    )
    quarantine: Literal["drop", "keep"] = Field(
        "drop", description="Whether blocked pictures are dropped, or kept encrypted until a reviewer has decided."
    )
    quarantine_days: int = Field(30, ge=1, description="How long a picture waits for a reviewer before it is deleted.")
    check_timeout_seconds: float = Field(
        60, gt=0, description="A check of one picture that takes longer has failed, and its press starts again."
    )

    @model_validator(mode="after")
    def _check_thresholds(self) -> Self:
        if self.safety_review_above > self.safety_block_above:
            raise ValueError(f"{PREFIX}SAFETY_REVIEW_ABOVE must not exceed {PREFIX}SAFETY_BLOCK_ABOVE")
        return self

    @model_validator(mode="after")
    def _check_checker(self) -> Self:
        if not self.checker or not all(CHECKER.fullmatch(word) for word in self.checker):
            raise ValueError(
                f"{PREFIX}CHECKER must name open_nsfw, nsfwjs, classifier:DIRECTORY?..., sd_checker:DIRECTORY?..."
                ", separated by commas"
            )
        alone = {NO_CHECKER, STAND_IN} & set(self.checker)
        if alone and len(self.checker) > 1:
            raise ValueError(f"{PREFIX}CHECKER must not name anything beside {alone.pop()}")
        if self.checker == (NO_CHECKER,) and not self.safety_off_acknowledged:
            raise ValueError(
                f"{PREFIX}CHECKER=none needs {PREFIX}SAFETY_OFF_ACKNOWLEDGED=true: nothing is checked then"
            )
        return self
