"""Checkers around checkers: the strictest of several, one with a time limit, and one that checks nothing."""

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
from common.tables.states import Verdict
from worker.checkers.interface import Checker, Finding, examine
from worker.engine.watchdog import STDERR


class NoChecker:
    """Looks at nothing, and says so."""

    def load(self) -> None:
        """Warn that nothing is checked."""
        warnings.warn("Safety is off: pictures leave without anything having looked.", StandInWarning, stacklevel=2)

    @property
    def policy(self) -> dict[str, Any]:
        """Return its name; there is nothing else to it."""
        return {"checker": NO_CHECKER, "digest": "", "thresholds": {}}

    def check(self, picture: Image.Image) -> Finding:
        """Return that nothing was found out."""
        return Finding(Verdict.UNCHECKED, {}, **self.policy)


log = get_logger(__name__)


class PunctualChecker:
    """Asks another checker, waits so many seconds for each answer, and calls *leave* when one does not come."""

    def __init__(self, checker: Checker, seconds: float, leave: Callable[[], None]) -> None:
        self._checker = checker
        self._seconds = seconds
        self._leave = leave

    def load(self) -> None:
        """Load the other one."""
        self._checker.load()

    @property
    def policy(self) -> dict[str, Any]:
        """Return the other one's."""
        return self._checker.policy

    def check(self, picture: Image.Image) -> Finding:
        """Return the other one's finding, or raise what it raises; raise SafetyUnavailableError after too long."""
        answers: list[Finding] = []
        errors: list[Exception] = []

        def ask() -> None:
            try:
                answers.append(self._checker.check(picture))
            except Exception as error:  # noqa: BLE001  (the boundary of the thread: raised again where somebody waits for it)
                errors.append(error)

        # Of its own and a daemon: the threads of a pool are waited for at the end of the process.
        context = contextvars.copy_context()
        thread = threading.Thread(target=context.run, args=(ask,), name="check", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            self._give_up()
        if errors:
            raise errors[0]
        return answers[0]

    def _give_up(self) -> None:
        log.error("check_hangs", seconds=self._seconds)
        faulthandler.dump_traceback(STDERR)
        self._leave()
        raise SafetyUnavailableError(f"The safety check took longer than {self._seconds:g} seconds.")


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
