"""The JSON of attempts: the tries of presses at a job."""

from typing import Literal
from uuid import UUID

from pydantic import Field

from api.web.output import Output, Time
from common.tables.states import Outcome


class JobAttempt(Output):
    """One press's try at a job."""

    number: int = Field(description="It only grows; images say which attempt made them.")
    press_id: UUID
    outcome: Outcome = Field(description="Why it ended; all but `succeeded` are waste under that name.")
    error_code: str | None = Field(description="The code of the error that ended it, if one did.")
    gpu_seconds: float
    phases: dict[str, float] = Field(description="Accelerator seconds by phase: encode, denoise, decode.")
    started_at: Time
    ended_at: Time | None


class JobAttemptList(Output):
    """All attempts at a job, the first first."""

    object: Literal["list"] = "list"
    data: list[JobAttempt]
