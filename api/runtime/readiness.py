"""Readiness checks of the database, the broker and the storage."""

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
from common.jobs.notifier import Notifier
from common.storage.port import Storage


class Alive(Output):
    """The process is alive."""

    status: Literal["ok"] = "ok"


class Part(Output):
    """A dependency of the API."""

    name: Literal["database", "broker", "storage"]
    status: Literal["ok", "failing"]
    detail: str | None = Field(description="Description of the failure.")


class Readiness(Output):
    """The readiness of the API; `degraded`: jobs are accepted, and finished once the failing part has recovered."""

    status: Literal["ready", "degraded", "unavailable"]
    parts: list[Part]


REMEMBERED_SECONDS = 3.0
PROBE_QUEUE = "readyz"


class ReadinessCheck:
    """Checks the dependencies and caches the result for a few seconds, because the endpoint is public."""

    def __init__(self, database: Database, bell: Notifier, storage: Storage) -> None:
        self._database = database
        self._bell = bell
        self._storage = storage
        self._lock = Lock()
        self._done_at = 0.0
        self._outcome: Readiness | None = None

    def outcome(self) -> Readiness:
        """Return the current or a recently cached readiness."""
        with self._lock:
            if self._outcome is None or time.monotonic() - self._done_at > REMEMBERED_SECONDS:
                self._outcome = self._examine()
                self._done_at = time.monotonic()
            return self._outcome

    def _examine(self) -> Readiness:
        parts = [
            _probe_part("database", self._ask_database),
            _probe_part("broker", lambda: self._bell.waiting(PROBE_QUEUE)),
            _probe_part("storage", self._storage.check),
        ]
        failing = {part.name for part in parts if part.status == "failing"}
        if "database" in failing:
            return Readiness(status="unavailable", parts=parts)
        # Without broker or storage, jobs are still accepted and returned; going out of service would lose that too.
        return Readiness(status="degraded" if failing else "ready", parts=parts)

    def _ask_database(self) -> None:
        try:
            with self._database.reading() as session:
                session.execute(text("SELECT 1 FROM jobs WHERE id IS NULL"))
        except ProgrammingError as error:
            raise DatabaseUnavailableError from error  # it responds, but its tables are missing


def _probe_part(name: Literal["database", "broker", "storage"], ask: Callable[[], object]) -> Part:
    try:
        ask()
    except PressroomError as error:
        # Only the generic message of the type: details from internal servers are not public.
        return Part(name=name, status="failing", detail=type(error)().message)
    return Part(name=name, status="ok", detail=None)
