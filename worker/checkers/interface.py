"""Interface between the press and a safety checker. An image without a finding never passes."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from PIL import Image

from common.errors import PressroomError, SafetyUnavailableError
from common.states.jobs import Verdict


@dataclass(frozen=True)
class Finding:
    """A checker's result for one image, with everything needed to explain it later."""

    verdict: Verdict
    scores: dict[str, float]
    checker: str
    digest: str  # SHA-256 of the checker's weights
    thresholds: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {**asdict(self), "verdict": self.verdict.value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Restore a finding from the output of ``as_json``."""
        return cls(**{**stored, "verdict": Verdict(stored["verdict"])})


class Checker(Protocol):
    """A safety checker, applied to every image before publication."""

    def load(self) -> None:
        """Load and run the self-test (one image must pass, one must not); raise SafetyUnavailableError on failure."""

    @property
    def policy(self) -> dict[str, Any]:
        """Return the ``checker``, ``digest`` and ``thresholds`` that its findings carry.

        A stored finding is valid for as long as these are unchanged.
        """

    def check(self, picture: Image.Image) -> Finding:
        """Return the finding on *picture*; raise SafetyUnavailableError on anything but a finite score.

        Safe to call from several threads.
        """


@dataclass(frozen=True)
class Thresholds:
    """The scores from which an image is flagged and blocked."""

    review: float
    block: float

    def judge(self, score: float) -> Verdict:
        """Return the verdict on *score*; raise SafetyUnavailableError unless it is a number from 0 to 1."""
        if not math.isfinite(score) or not 0 <= score <= 1:
            raise SafetyUnavailableError(f"The safety check returned the invalid score {score}.")
        if score >= self.block:
            return Verdict.BLOCK
        return Verdict.REVIEW if score >= self.review else Verdict.PASS


def check_picture(checker: Checker, picture: Image.Image) -> Finding:
    """Return the finding of *checker*; raise SafetyUnavailableError if it is missing or incomplete."""
    try:
        finding = checker.check(picture)
    except PressroomError:
        raise
    except Exception as error:  # any error must fail closed, and the job is not at fault
        raise SafetyUnavailableError(f"The safety check failed: {type(error).__name__}.") from error
    if not isinstance(finding, Finding) or not isinstance(finding.verdict, Verdict):
        raise SafetyUnavailableError("The safety check returned no verdict.")
    if not finding.scores and finding.verdict is not Verdict.UNCHECKED:
        raise SafetyUnavailableError("The safety check returned no score.")
    if not all(isinstance(score, float) and math.isfinite(score) for score in finding.scores.values()):
        raise SafetyUnavailableError("The safety check returned a score that is not a number.")
    return finding
