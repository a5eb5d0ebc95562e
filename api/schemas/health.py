"""The JSON of the probes."""

from typing import Literal

from pydantic import Field

from api.schemas.outputs import Output


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
