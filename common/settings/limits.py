"""How much one owner, one job or one process may ask for."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX


class LimitSettings(BaseModel):
    """How much one owner, one job or one process may ask for."""

    max_queued_jobs: int = Field(10_000, ge=1, description="Queued jobs per owner; beyond it 429.")
    max_waiting: int = Field(
        16, ge=0, description="Connections per api process that may wait for a job to end, or follow its events."
    )
    max_pixel_steps: int = Field(
        1024 * 1024 * 50 * 10, ge=1, description="Width × height × steps × images that one job may ask for."
    )
    max_asset_bytes: int = Field(
        20_000_000, ge=1024, le=200_000_000, description="Largest image file that can be uploaded."
    )
    max_assets: int = Field(1000, ge=1, description="Pictures that are kept per owner; beyond it 429.")
    max_recipients: int = Field(100_000, ge=1, description="Recipients of one campaign.")
    max_recipients_bytes: int = Field(100_000_000, ge=1024, description="Largest recipients file that can be uploaded.")
    link_seconds: int = Field(900, ge=60, le=604_800, description="How long a link to an image is valid.")
    idempotency_hours: int = Field(24, ge=1, description="How long an `Idempotency-Key` is remembered.")
    api_threads: int = Field(32, ge=2, description="Threads of the api process.")

    @model_validator(mode="after")
    def _check_waiting(self) -> Self:
        if self.max_waiting >= self.api_threads:
            raise ValueError(f"{PREFIX}MAX_WAITING must be less than {PREFIX}API_THREADS: who waits takes a thread")
        return self
