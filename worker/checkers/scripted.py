"""Scripted checker for tests: returns verdicts from a rule without examining the image."""

import warnings
from collections.abc import Callable
from typing import Any

from PIL import Image

from common.errors import StandInWarning
from common.states.jobs import Verdict
from worker.checkers.interface import Finding

SCORES = {Verdict.PASS: 0.0, Verdict.REVIEW: 0.5, Verdict.BLOCK: 1.0}

Rule = Callable[[Image.Image], Verdict]


def pass_picture(picture: Image.Image) -> Verdict:
    """Pass every image."""
    return Verdict.PASS


def build_sequence_rule(*verdicts: Verdict) -> Rule:
    """Return a rule that gives *verdicts* to the first images, one each, and passes all later ones."""
    left = list(verdicts)
    return lambda _: left.pop(0) if left else Verdict.PASS


class ScriptedChecker:
    """A checker with predetermined verdicts; by default it passes everything."""

    def __init__(self, rule: Rule = pass_picture) -> None:
        self._rule = rule

    def load(self) -> None:
        """Log a warning that nothing is checked."""
        warnings.warn("The scripted checker passes images without examining them.", StandInWarning, stacklevel=2)

    @property
    def policy(self) -> dict[str, Any]:
        """Return the checker's name; it has no digest or thresholds."""
        return {"checker": "scripted", "digest": "", "thresholds": {}}

    def check(self, picture: Image.Image) -> Finding:
        """Return the rule's finding; a SafetyUnavailableError from the rule propagates."""
        verdict = self._rule(picture)
        return Finding(verdict, {"scripted": SCORES[verdict]}, **self.policy)
