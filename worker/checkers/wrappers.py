"""Checker wrappers: the strictest of several, a time limit, and a checker that checks nothing."""

import contextvars
import faulthandler
import hashlib
import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from PIL import Image

from common.errors import SafetyUnavailableError, StandInWarning
from common.logs import get_logger
from common.settings.safety import NO_CHECKER
from common.states.jobs import Verdict
from worker.checkers.interface import Checker, Finding, check_picture
from worker.engine.watchdog import STDERR


class NoChecker:
    """A checker that examines nothing and marks every image as unchecked."""

    def load(self) -> None:
        """Log a warning that nothing is checked."""
        warnings.warn("The safety check is off: images are published unchecked.", StandInWarning, stacklevel=2)

    @property
    def policy(self) -> dict[str, Any]:
        """Return the checker's name; it has no digest or thresholds."""
        return {"checker": NO_CHECKER, "digest": "", "thresholds": {}}

    def check(self, picture: Image.Image) -> Finding:
        """Return a finding with the verdict ``unchecked``."""
        return Finding(Verdict.UNCHECKED, {}, **self.policy)


log = get_logger(__name__)


class TimeoutChecker:
    """Run another checker with a time limit per image, and call *leave* when it is exceeded."""

    def __init__(self, checker: Checker, seconds: float, leave: Callable[[], None]) -> None:
        self._checker = checker
        self._seconds = seconds
        self._leave = leave

    def load(self) -> None:
        """Load the wrapped checker."""
        self._checker.load()

    @property
    def policy(self) -> dict[str, Any]:
        """Return the wrapped checker's policy."""
        return self._checker.policy

    def check(self, picture: Image.Image) -> Finding:
        """Return the wrapped checker's finding or raise its exception; raise SafetyUnavailableError on timeout."""
        answers: list[Finding] = []
        errors: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(self._checker.check(picture))
            except Exception as error:  # noqa: BLE001  (thread boundary: raised again in the waiting thread)
                errors.append(error)

        # A separate daemon thread: the process would wait for pool threads at exit.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(ask,), name="check", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            self._fail_timed_out_check()
        if errors:
            raise errors[0]
        return answers[0]

    def _fail_timed_out_check(self) -> None:
        log.error("check_timed_out", seconds=self._seconds)
        faulthandler.dump_traceback(STDERR)
        self._leave()
        raise SafetyUnavailableError(f"The safety check took longer than {self._seconds:g} seconds.")


SEVERITY = (Verdict.PASS, Verdict.REVIEW, Verdict.BLOCK)


class StrictestChecker:
    """Run all checkers; if one of them fails, the whole check fails."""

    def __init__(self, checkers: Sequence[Checker]) -> None:
        self._checkers = checkers

    def load(self) -> None:
        """Load all checkers."""
        for checker in self._checkers:
            checker.load()

    @property
    def policy(self) -> dict[str, Any]:
        """Return the combined name, a digest over the digests, and the shared thresholds."""
        policies = [checker.policy for checker in self._checkers]
        digests = "\n".join(str(policy["digest"]) for policy in policies)
        return {
            "checker": "+".join(str(policy["checker"]) for policy in policies),
            "digest": hashlib.sha256(digests.encode()).hexdigest(),
            "thresholds": policies[0]["thresholds"],
        }

    def check(self, picture: Image.Image) -> Finding:
        """Return the strictest verdict, with the scores of all checkers."""
        findings = [check_picture(checker, picture) for checker in self._checkers]
        verdict = max((finding.verdict for finding in findings), key=SEVERITY.index)
        scores = {f"{finding.checker}.{name}": score for finding in findings for name, score in finding.scores.items()}
        return Finding(verdict, scores, **self.policy)
