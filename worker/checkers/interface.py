"""The port between the press and a safety checker: a picture in, a finding out, and no finding is no pass."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from PIL import Image

from common.errors import PressroomError, SafetyUnavailableError
from common.tables.states import Verdict


@dataclass(frozen=True)
class Finding:
    """What a checker says of one picture, and all that is needed to understand why later."""

    verdict: Verdict
    scores: dict[str, float]
    checker: str
    digest: str  # of the checker's weights
    thresholds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {**asdict(self), "verdict": self.verdict.value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read a finding back from what ``as_json`` returned."""
        return cls(**{**stored, "verdict": Verdict(stored["verdict"])})


class Checker(Protocol):
    """What looks at every picture before it may leave."""

    def load(self) -> None:
        """Get ready and prove it on a picture that must pass and one that must not, or raise SafetyUnavailableError."""

    @property
    def policy(self) -> dict[str, Any]:
        """Return by what it judges: the ``checker``, ``digest`` and ``thresholds`` of its findings.

        A finding that was kept is good for as long as they are the same.
        """

    def check(self, picture: Image.Image) -> Finding:
        """Return the finding on *picture*; raise SafetyUnavailableError on anything but a finite score.

        Safe to call from several threads.
        """


@dataclass(frozen=True)
class Thresholds:
    """The scores from which a picture is flagged, and from which it is blocked."""

    review: float
    block: float

    def judge(self, score: float) -> Verdict:
        """Return the verdict on *score*; raise SafetyUnavailableError unless it is a number from 0 to 1."""
        if not math.isfinite(score) or not 0 <= score <= 1:
            raise SafetyUnavailableError(f"The safety check gave {score} for a score, which is no verdict.")
        if score >= self.block:
            return Verdict.BLOCK
        return Verdict.REVIEW if score >= self.review else Verdict.PASS


def examine(checker: Checker, picture: Image.Image) -> Finding:
    """Return what *checker* finds; raise SafetyUnavailableError unless that is a whole finding, whatever else it is."""
    try:
        finding = checker.check(picture)
    except PressroomError:
        raise
    except Exception as error:  # any fault at all must fail closed, and is no fault of the job
        raise SafetyUnavailableError(f"The safety check failed: {type(error).__name__}.") from error
    if not isinstance(finding, Finding) or not isinstance(finding.verdict, Verdict):
        raise SafetyUnavailableError("The safety check gave no verdict.")
    if not finding.scores and finding.verdict is not Verdict.UNCHECKED:
        raise SafetyUnavailableError("The safety check gave no score.")
    if not all(isinstance(score, float) and math.isfinite(score) for score in finding.scores.values()):
        raise SafetyUnavailableError("The safety check gave a score that is no number.")
    return finding
