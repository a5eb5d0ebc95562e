"""The safety policy: score thresholds, and the actions for images and their job.

The operator's is the loosest there is; a key and a job may only be stricter.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

from common.errors import SafetyUnavailableError
from common.settings.safety import NO_CHECKER, SafetySettings
from common.states.jobs import SafetyMode, Verdict


class ReviewAction(StrEnum):
    """What happens to a picture in the band between the two thresholds, from lax to strict."""

    FLAG = "flag"  # delivered, and its verdict says so
    BLUR = "blur"  # delivered so blurred that nothing of it can be made out
    BLOCK = "block"


class Recourse(StrEnum):
    """What becomes of a job of which a picture was blocked."""

    FAIL = "fail"  # the image is blocked; the job fails if all are
    REROLL = "reroll"  # if all are blocked they are printed again from other seeds, a few times
    FALLBACK = "fallback"  # the operator's own picture takes the place of each that is blocked


STRICTNESS = {action: rank for rank, action in enumerate(ReviewAction)}


class PolicyOverrides(BaseModel):
    """What a key or a job asks for; what it leaves out stays as it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review_above: float | None = Field(None, ge=0, le=1)
    block_above: float | None = Field(None, ge=0, le=1)
    review_action: ReviewAction | None = None
    on_block: Recourse | None = None
    mode: SafetyMode | None = None

    def tighten(self, other: Self) -> Self:
        """Return the stricter of both in everything; the recourse of *other* counts if it names one."""
        actions = [each.review_action for each in (self, other) if each.review_action is not None]
        return self.model_copy(
            update={
                "review_above": _find_lower(self.review_above, other.review_above),
                "block_above": _find_lower(self.block_above, other.block_above),
                "review_action": max(actions, key=STRICTNESS.__getitem__, default=None),
                "on_block": other.on_block or self.on_block,
                "mode": SafetyMode.ON if SafetyMode.ON in (self.mode, other.mode) else self.mode or other.mode,
            }
        )

    def dump_row(self) -> dict[str, Any] | None:
        """Return what is stored in a JSON column: only what is asked for, or None."""
        return self.model_dump(mode="json", exclude_none=True) or None

    @classmethod
    def from_row(cls, stored: dict[str, Any] | None) -> Self:
        """Read overrides back from a JSON column."""
        return cls.model_validate(stored or {})


def _find_lower(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


class Policy(BaseModel):
    """By what a job's pictures are judged, every default filled in."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review_above: float
    block_above: float
    review_action: ReviewAction = ReviewAction.FLAG
    on_block: Recourse = Recourse.FAIL
    mode: SafetyMode = SafetyMode.ON

    @classmethod
    def of(cls, settings: SafetySettings) -> Self:
        """Return the operator's policy."""
        return cls(
            review_above=settings.safety_review_above,
            block_above=settings.safety_block_above,
            review_action=ReviewAction(settings.safety_review_action),
            mode=SafetyMode.OFF if settings.checker == (NO_CHECKER,) else SafetyMode.ON,
        )

    def find_looser(self, overrides: PolicyOverrides) -> list[str]:
        """Return the fields of *overrides* that ask for less than this policy does."""
        looser = [
            name
            for name, ours, theirs in (
                ("review_above", self.review_above, overrides.review_above),
                ("block_above", self.block_above, overrides.block_above),
            )
            if theirs is not None and theirs > ours
        ]
        action = overrides.review_action
        if action is not None and STRICTNESS[action] < STRICTNESS[self.review_action]:
            looser.append("review_action")
        if overrides.mode is SafetyMode.OFF and self.mode is SafetyMode.ON:
            looser.append("mode")
        return looser

    def tighten(self, overrides: "PolicyOverrides | Policy") -> "Policy":
        """Return the stricter of both in everything; what *overrides* says of ``on_block`` counts."""
        block = min(self.block_above, self.block_above if overrides.block_above is None else overrides.block_above)
        review = min(self.review_above, self.review_above if overrides.review_above is None else overrides.review_above)
        action = max(self.review_action, overrides.review_action or self.review_action, key=STRICTNESS.__getitem__)
        changed = {"review_above": min(review, block), "block_above": block, "review_action": action}
        return self.model_copy(update=changed | {"on_block": overrides.on_block or self.on_block})

    def judge(self, score: float) -> Verdict:
        """Return the verdict on *score*; raise SafetyUnavailableError unless it is a number from 0 to 1."""
        if not math.isfinite(score) or not 0 <= score <= 1:
            raise SafetyUnavailableError(f"The safety check returned the invalid score {score}.")
        if score >= self.block_above:
            return Verdict.BLOCK
        if score < self.review_above:
            return Verdict.PASS
        return Verdict.BLOCK if self.review_action is ReviewAction.BLOCK else Verdict.REVIEW

    @property
    def thresholds(self) -> dict[str, float]:
        """Return the two thresholds by the names under which they are stored with an image."""
        return {"review": self.review_above, "block": self.block_above}

    def version(self, checker: Mapping[str, Any]) -> str:
        """Return a name for this policy and the *checker* that it is held by: the same content, the same name."""
        content = {"policy": self.model_dump(mode="json"), "checker": dict(checker)}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
