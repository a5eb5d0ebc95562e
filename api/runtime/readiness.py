"""Readiness checks of the database, the broker and the storage."""

from collections.abc import Callable
from operator import attrgetter
from threading import Condition
from typing import Literal

from cachetools import TTLCache, cachedmethod
from pydantic import Field

from api.web.output import Output
from common.db.engine import Database
from common.db.schema import check_schema_not_older
from common.errors import PressroomError
from common.jobs.notifier import Notifier
from common.storage.port import ObjectStore


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


class ReadinessCheck:
    """Checks the dependencies and caches the result for a few seconds, because the endpoint is public."""

    def __init__(self, database: Database, notifier: Notifier, storage: ObjectStore) -> None:
        self._database = database
        self._notifier = notifier
        self._storage = storage
        self._kept: TTLCache[tuple[()], Readiness] = TTLCache(1, REMEMBERED_SECONDS)
        self._is_examined = Condition()

    @cachedmethod(attrgetter("_kept"), condition=attrgetter("_is_examined"))
    def outcome(self) -> Readiness:
        """Return the current or a recently cached readiness; callers at the same time share one examination."""
        parts = [
            # A server that responds is not enough: it must have the tables, and take messages.
            _probe_part("database", lambda: check_schema_not_older(self._database)),
            _probe_part("broker", self._notifier.check),
            _probe_part("storage", self._storage.check),
        ]
        failing = {part.name for part in parts if part.status == "failing"}
        if "database" in failing:
            return Readiness(status="unavailable", parts=parts)
        # Without broker or storage, jobs are still accepted and returned; going out of service would lose that too.
        return Readiness(status="degraded" if failing else "ready", parts=parts)


def _probe_part(name: Literal["database", "broker", "storage"], ask: Callable[[], object]) -> Part:
    try:
        ask()
    except PressroomError as error:
        # Only the generic message of the type: details from internal servers are not public.
        return Part(name=name, status="failing", detail=type(error)().message)
    return Part(name=name, status="ok", detail=None)
