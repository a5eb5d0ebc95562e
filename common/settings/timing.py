"""Settings: leases, retries and shutdown, and fault injection for tests."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX, CommaSeparated


class TimingSettings(BaseModel):
    """Settings: leases, retries and shutdown, and fault injection for tests."""

    lease_seconds: float = Field(60, ge=1, description="Time after which the jobs of a silent press are requeued.")
    beat_seconds: float = Field(
        1, gt=0, description="Interval at which a press renews its leases and notices cancellations."
    )
    tick_seconds: float = Field(0.5, gt=0, description="Interval of the clerk's main duties.")
    max_strikes: int = Field(3, ge=1, description="Number of lost attempts after which a job fails with `worker_lost`.")
    drain_seconds: float = Field(60, ge=0, description="Time that a stopping press has to finish its running jobs.")
    faults: CommaSeparated = Field(
        (),
        description="Fault injection for tests (requires `MODELS=painted`): points at which a process fails.",
    )

    @model_validator(mode="after")
    def _check_lease(self) -> Self:
        if self.lease_seconds < 3 * self.beat_seconds:
            raise ValueError(f"{PREFIX}LEASE_SECONDS must be at least 3 × {PREFIX}BEAT_SECONDS")
        return self
