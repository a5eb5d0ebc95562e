"""The scripted stand-in: says what a rule says, without looking for anything unsafe."""

import warnings
from collections.abc import Callable
from typing import Any

from PIL import Image

from common.errors import StandInWarning
from common.tables.states import Verdict
from worker.checkers.interface import Finding

SCORES = {Verdict.PASS: 0.0, Verdict.REVIEW: 0.5, Verdict.BLOCK: 1.0}

Rule = Callable[[Image.Image], Verdict]


def pass_all(picture: Image.Image) -> Verdict:
    """Pass every picture."""
    return Verdict.PASS


def in_turn(*verdicts: Verdict) -> Rule:
    """Return a rule that gives *verdicts* to the first pictures, one each, and passes all that come after."""
    left = list(verdicts)
    return lambda _: left.pop(0) if left else Verdict.PASS


class ScriptedChecker:
    """A checker whose verdicts are told beforehand; by default it passes everything."""

    def __init__(self, rule: Rule = pass_all) -> None:
        self._rule = rule

    def load(self) -> None:
        """Warn that nothing is checked."""
        warnings.warn("The scripted checker passes pictures without looking.", StandInWarning, stacklevel=2)

    @property
    def policy(self) -> dict[str, Any]:
        """Return its name; there is nothing else to it."""
        return {"checker": "scripted", "digest": "", "thresholds": {}}

    def check(self, picture: Image.Image) -> Finding:
        """Return what the rule says; a SafetyUnavailableError that it raises is raised."""
        verdict = self._rule(picture)
        return Finding(verdict, {"scripted": SCORES[verdict]}, **self.policy)
