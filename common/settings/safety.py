"""Settings: the safety checks of prompts and images."""

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX, CommaSeparated

NO_CHECKER = "none"
STAND_IN = "scripted"
CHECKER = re.compile(r"open_nsfw|nsfwjs|scripted|none|(classifier|sd_checker):.+")


class SafetySettings(BaseModel):
    """Settings: the safety checks of prompts and images."""

    checker: CommaSeparated = Field(
        ("open_nsfw",),
        description="Safety checkers, comma-separated; the strictest result counts: `open_nsfw`, `nsfwjs`,"
        " `classifier:DIRECTORY?label=NAME&sha256=DIGEST`, `sd_checker:DIRECTORY?sha256=DIGEST`. `scripted` passes"
        " everything and is for tests (requires `MODELS=painted`); `none` disables the check.",
    )
    safety_off_acknowledged: bool = Field(
        False, description="Required by `CHECKER=none`: every job and image is then marked as unchecked."
    )
    safety_review_above: float = Field(
        0.2, ge=0, le=1, description="Score from which an image is in the review band. Keys and jobs may be stricter."
    )
    safety_block_above: float = Field(
        0.8, ge=0, le=1, description="Score from which an image is blocked. Keys and jobs may be stricter."
    )
    safety_review_action: Literal["flag", "blur", "block"] = Field(
        "flag", description="Action for an image in the review band: `flag`, `blur` or `block`."
    )
    max_rerolls: int = Field(
        2,
        ge=0,
        le=10,
        description="Maximum number of re-rolls of a job whose images were all blocked (`on_block: reroll`).",
    )
    fallback_image: Path | None = Field(
        None, description="Image that replaces a blocked one in jobs with `on_block: fallback`. Default: none."
    )
    prompt_rules: Path | None = Field(
        None, description="TOML file with prompt rules, in addition to the built-in ones. Default: none."
    )
    quarantine: Literal["drop", "keep"] = Field(
        "drop", description="Whether blocked images are dropped, or kept encrypted for a reviewer's decision."
    )
    quarantine_days: int = Field(30, ge=1, description="Days that an image waits for a reviewer before it is deleted.")
    check_timeout_seconds: float = Field(
        60,
        gt=0,
        description="Maximum duration of the check of one image; beyond it the check fails and the press restarts.",
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
                f"{PREFIX}CHECKER must be a comma-separated list of open_nsfw, nsfwjs, classifier:DIRECTORY?...,"
                " sd_checker:DIRECTORY?..."
            )
        alone = {NO_CHECKER, STAND_IN} & set(self.checker)
        if alone and len(self.checker) > 1:
            raise ValueError(f"{PREFIX}CHECKER must not combine {alone.pop()} with other checkers")
        if self.checker == (NO_CHECKER,) and not self.safety_off_acknowledged:
            raise ValueError(
                f"{PREFIX}CHECKER=none requires {PREFIX}SAFETY_OFF_ACKNOWLEDGED=true: nothing checks images then"
            )
        return self
