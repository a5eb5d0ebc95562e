"""Whether database, broker and storage answer."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Literal

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from api.web.output import Output
from common.db.engine import Database
from common.errors import DatabaseUnavailableError, PressroomError
from common.jobs.notifier import Bell
from common.storage.port import Storage


class Alive(Output):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Part(Output):
    """One thing that the api needs."""

    name: Literal["database", "broker", "storage"]
    status: Literal["ok", "failing"]
    detail: str | None = Field(description="What is wrong, in a sentence.")


class Readiness(Output):
    """Whether the api can do its work; `degraded`: jobs are taken, and finished when the failing part is back."""

    status: Literal["ready", "degraded", "unavailable"]
    parts: list[Part]


REMEMBERED_SECONDS = 3.0
PROBE_QUEUE = "readyz"


class Examination:
    """Tries the parts, and remembers the outcome for a few seconds: anyone may ask, as often as they like."""

    def __init__(self, database: Database, bell: Bell, storage: Storage) -> None:
        self._database = database
        self._bell = bell
        self._storage = storage
        self._lock = Lock()
        self._done_at = 0.0
        self._outcome: Readiness | None = None

    def outcome(self) -> Readiness:
        """Return how the parts are, or were a moment ago."""
        with self._lock:
            if self._outcome is None or time.monotonic() - self._done_at > REMEMBERED_SECONDS:
                self._outcome = self._examine()
                self._done_at = time.monotonic()
            return self._outcome

    def _examine(self) -> Readiness:
        parts = [
            _try("database", self._ask_database),
            _try("broker", lambda: self._bell.waiting(PROBE_QUEUE)),
            _try("storage", self._storage.check),
        ]
        failing = {part.name for part in parts if part.status == "failing"}
        if "database" in failing:
            return Readiness(status="unavailable", parts=parts)
        # Without broker or storage jobs are still taken and shown: to take the api out of service would lose that too.
        return Readiness(status="degraded" if failing else "ready", parts=parts)

    def _ask_database(self) -> None:
        try:
            with self._database.reading() as session:
                session.execute(text("SELECT 1 FROM jobs WHERE id IS NULL"))
        except ProgrammingError as error:
            raise DatabaseUnavailableError from error  # it answers, but its tables have not been made


def _try(name: Literal["database", "broker", "storage"], ask: Callable[[], object]) -> Part:
    try:
        ask()
    except PressroomError as error:
        # The type's own sentence: what a server of ours answered is not for everyone.
        return Part(name=name, status="failing", detail=type(error)().message)
    return Part(name=name, status="ok", detail=None)
