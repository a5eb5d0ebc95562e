"""Decide the outcome for a checked image: delivered, blurred, blocked, quarantined or replaced."""

import io
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self

from PIL import Image, ImageOps

from common.errors import InvalidPictureError, SafetyUnavailableError
from common.jobs.request import ImageRequest
from common.safety.blur import blur_picture
from common.safety.policy import Policy, Recourse, ReviewAction
from common.settings import Settings
from common.states.jobs import ImageStatus, SafetyMode, Verdict
from worker.checkers.interface import Checker, Finding, check_picture

SEVERITY = (Verdict.UNCHECKED, Verdict.PASS, Verdict.REVIEW, Verdict.BLOCK)


class Billing(Enum):
    """How an image is billed."""

    CHARGED = "charged"  # its GPU seconds at the press's price, up to the job's maximum
    BLOCKED = "blocked"  # the seconds are recorded, without a price
    REPLACED = "replaced"  # neither: the published fallback image was not generated


@dataclass(frozen=True)
class AssessedPicture:
    """A checked image: the pixels to be published and the outcome."""

    pixels: Image.Image
    status: ImageStatus
    verdict: Verdict
    mode: SafetyMode
    safety: dict[str, Any]  # everything needed to explain it later
    billing: Billing

    def refuse(self, reason: str) -> Self:
        """Return the image as blocked for a reason other than the checker's finding; it is never kept."""
        safety = {**self.safety, "verdict": Verdict.BLOCK.value, "reason": reason}
        return replace(self, status=ImageStatus.BLOCKED, verdict=Verdict.BLOCK, safety=safety, billing=Billing.BLOCKED)


@dataclass(frozen=True)
class CheckedPicture:
    """An uploaded picture or the operator's own, with what the checker found in it."""

    pixels: Image.Image
    finding: Finding


class SafetyPolicyEngine:
    """Decides about generated images by the stricter of the operator's policy and the job's."""

    def __init__(self, checker: Checker, settings: Settings) -> None:
        self._checker = checker
        self._operator = Policy.of(settings)
        self._keeps = settings.quarantine == "keep"
        self._fallback_path = settings.fallback_image
        self._fallback: CheckedPicture | None = None

    def load(self) -> None:
        """Load the checker and the fallback image, which must pass; raise SafetyUnavailableError otherwise."""
        self._checker.load()
        if self._fallback_path is None:
            return
        try:
            with Image.open(io.BytesIO(self._fallback_path.read_bytes()), formats=("PNG", "JPEG", "WEBP")) as file:
                picture = file.convert("RGB")
        except OSError as error:
            raise SafetyUnavailableError(f"The fallback image cannot be read: {error}.") from error
        finding = check_picture(self._checker, picture)
        if self.decide_verdict(None, finding) is Verdict.BLOCK:
            raise SafetyUnavailableError("The fallback image is blocked by the safety check. Choose another image.")
        self._fallback = CheckedPicture(picture, finding)

    def policy_of(self, request: ImageRequest | None) -> Policy:
        """Return the policy for a job: never less strict than the operator's."""
        if request is None or request.safety is None:
            return self._operator
        return self._operator.tighten(request.safety)

    def decide_verdict(self, request: ImageRequest | None, finding: Finding) -> Verdict:
        """Return the checker's verdict, or the job policy's if that is stricter."""
        policy = self.policy_of(request)
        if policy.mode is SafetyMode.OFF or finding.verdict is Verdict.UNCHECKED:
            if policy.mode is SafetyMode.OFF and finding.verdict is Verdict.UNCHECKED:
                return Verdict.UNCHECKED
            raise SafetyUnavailableError("The checker and the policy disagree on whether images are checked.")
        verdicts = [finding.verdict, *(policy.judge(score) for score in finding.scores.values())]
        strictest = max(verdicts, key=SEVERITY.index)
        if strictest is Verdict.REVIEW and policy.review_action is ReviewAction.BLOCK:
            return Verdict.BLOCK
        return strictest

    def assess(self, request: ImageRequest, picture: Image.Image) -> AssessedPicture:
        """Check an image and return its outcome; raise InvalidPictureError or SafetyUnavailableError."""
        if all(low == high for low, high in _list_extremes(picture)):
            raise InvalidPictureError("The model produced an image of a single colour.")
        finding = check_picture(self._checker, picture)
        verdict, policy = self.decide_verdict(request, finding), self.policy_of(request)
        safety = self._explain(policy, finding, verdict)
        if verdict is Verdict.BLOCK:
            status = ImageStatus.QUARANTINED if self._keeps else ImageStatus.BLOCKED
            blocked = AssessedPicture(picture, status, verdict, policy.mode, safety, Billing.BLOCKED)
            if policy.on_block is Recourse.FALLBACK and self._fallback is not None:
                return self.replace_blocked(request, blocked, self._fallback)
            return blocked
        pixels, status = _blur_reviewed(policy, verdict, picture)
        return AssessedPicture(pixels, status, verdict, policy.mode, safety, Billing.CHARGED)

    def wants_reroll(self, request: ImageRequest, assessed: list[AssessedPicture]) -> bool:
        """Return whether the job asks to be rerolled instead of keeping this result."""
        is_asked = self.policy_of(request).on_block is Recourse.REROLL
        return is_asked and not any(each.status.is_readable for each in assessed)

    def replace_blocked(
        self, request: ImageRequest, blocked: AssessedPicture, fallback: CheckedPicture
    ) -> AssessedPicture:
        """Return *fallback* in place of a *blocked* image, by the same policy; the blocked one if that blocks both.

        The fallback picture takes the size of the image that it replaces. The blocked image is not kept for a reviewer.
        """
        verdict, policy = self.decide_verdict(request, fallback.finding), self.policy_of(request)
        if verdict is Verdict.BLOCK:
            return blocked
        safety = self._explain(policy, fallback.finding, verdict) | {"fallback_for": blocked.safety}
        fitted = ImageOps.fit(fallback.pixels, blocked.pixels.size, Image.Resampling.LANCZOS)
        pixels, status = _blur_reviewed(policy, verdict, fitted)
        return AssessedPicture(pixels, status, verdict, policy.mode, safety, Billing.REPLACED)

    def _explain(self, policy: Policy, finding: Finding, verdict: Verdict) -> dict[str, Any]:
        checker = {"checker": finding.checker, "digest": finding.digest}
        return finding.as_json() | {
            "verdict": verdict.value,
            "thresholds": policy.thresholds if finding.scores else {},
            "review_action": policy.review_action.value,
            "policy": policy.version(checker),
        }


def _blur_reviewed(policy: Policy, verdict: Verdict, picture: Image.Image) -> tuple[Image.Image, ImageStatus]:
    """Return the pixels to be published, blurred if *policy* says so for *verdict*, and their status."""
    if verdict is Verdict.REVIEW and policy.review_action is ReviewAction.BLUR:
        return blur_picture(picture), ImageStatus.BLURRED
    return picture, ImageStatus.DELIVERED


def _list_extremes(picture: Image.Image) -> list[tuple[int, int]]:
    return [channel.getextrema() for channel in picture.convert("RGB").split()]  # type: ignore[misc]  # of bytes
