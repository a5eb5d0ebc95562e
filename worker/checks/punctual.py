"""A limit to the time of a safety check: one that takes longer has failed, and its press must start again.

A thread that hangs in native code cannot be ended; only its process can.
"""

import contextvars
import faulthandler
import threading
from collections.abc import Callable
from typing import Any

from PIL import Image

from common.errors import SafetyUnavailableError
from common.logs import get_logger
from worker.checks.port import Checker, Finding
from worker.engine.watchdog import STDERR

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
