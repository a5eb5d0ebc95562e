"""Several checkers as one: every one of them looks, and the strictest counts."""

import hashlib
from collections.abc import Sequence
from typing import Any

from PIL import Image

from common.tables.states import Verdict
from worker.checks.port import Checker, Finding, examine

SEVERITY = (Verdict.PASS, Verdict.REVIEW, Verdict.BLOCK)


class StrictestChecker:
    """Asks all of its checkers; if one of them has no answer, it has none either."""

    def __init__(self, checkers: Sequence[Checker]) -> None:
        self._checkers = checkers

    def load(self) -> None:
        """Load them all."""
        for checker in self._checkers:
            checker.load()

    @property
    def policy(self) -> dict[str, Any]:
        """Return their names in one, the digest of their digests, and the thresholds, which are the same for all."""
        policies = [checker.policy for checker in self._checkers]
        digests = "\n".join(str(policy["digest"]) for policy in policies)
        return {
            "checker": "+".join(str(policy["checker"]) for policy in policies),
            "digest": hashlib.sha256(digests.encode()).hexdigest(),
            "thresholds": policies[0]["thresholds"],
        }

    def check(self, picture: Image.Image) -> Finding:
        """Return the strictest verdict with everybody's scores."""
        findings = [examine(checker, picture) for checker in self._checkers]
        verdict = max((finding.verdict for finding in findings), key=SEVERITY.index)
        scores = {f"{finding.checker}.{name}": score for finding in findings for name, score in finding.scores.items()}
        return Finding(verdict, scores, **self.policy)
