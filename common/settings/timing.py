"""How long leases, attempts and stops last; and, for tests, what breaks."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX, CommaSeparated


class TimingSettings(BaseModel):
    """How long leases, attempts and stops last; and, for tests, what breaks."""

    lease_seconds: float = Field(60, ge=1, description="How long a press may be silent before its jobs are taken back.")
    beat_seconds: float = Field(1, gt=0, description="How often a press extends its leases and hears of cancels.")
    tick_seconds: float = Field(0.5, gt=0, description="How often the clerk goes round.")
    max_strikes: int = Field(3, ge=1, description="Attempts that may be lost before a job fails with `worker_lost`.")
    drain_seconds: float = Field(60, ge=0, description="Time that a stopped press gets to finish the jobs in hand.")
    faults: CommaSeparated = Field(
        (),
        description="For tests, and refused unless `MODELS` is `painted`: points at which a process breaks on purpose.",
    )

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        if self.lease_seconds < 3 * self.beat_seconds:
            raise ValueError(f"{PREFIX}LEASE_SECONDS must be at least 3 × {PREFIX}BEAT_SECONDS")
        return self
