"""Settings: limits per owner, job, upload and process."""

from typing import Self

from pydantic import BaseModel, Field, model_validator

from common.settings.parsing import PREFIX


class LimitSettings(BaseModel):
    """Settings: limits per owner, job, upload and process."""

    max_queued_jobs: int = Field(
        10_000, ge=1, description="Maximum number of queued jobs per owner; further requests get 429."
    )
    api_threads: int = Field(48, ge=3, description="Number of threads of an api process.")
    max_waiting: int = Field(
        32, ge=0, description="Maximum number of connections per api process that wait for a job or its events."
    )
    max_downloads: int = Field(
        8, ge=1, description="Maximum number of archives and result files per api process that are being sent."
    )
    max_uploads: int = Field(
        64, ge=1, description="Maximum number of large request bodies per api process that are being received."
    )
    owner_share: float = Field(
        0.25,
        gt=0,
        le=1,
        description="Share of the waiting connections, downloads and uploads of an api process that one owner may "
        "have; at least one of each.",
    )
    max_pixel_steps: int = Field(
        1024 * 1024 * 50 * 10, ge=1, description="Maximum width × height × steps × images of one job."
    )
    max_asset_bytes: int = Field(
        20_000_000, ge=1024, le=200_000_000, description="Maximum size of an uploaded image, in bytes."
    )
    max_assets: int = Field(1000, ge=1, description="Maximum number of assets per owner; further uploads get 429.")
    max_recipients: int = Field(100_000, ge=1, description="Maximum number of recipients of one campaign.")
    max_recipients_bytes: int = Field(100_000_000, ge=1024, description="Maximum size of a recipients file, in bytes.")
    link_seconds: int = Field(900, ge=60, le=604_800, description="Lifetime of a signed image link, in seconds.")
    idempotency_hours: int = Field(24, ge=1, description="How long an `Idempotency-Key` is remembered, in hours.")

    @model_validator(mode="after")
    def _check_threads(self) -> Self:
        if self.max_waiting + self.max_downloads >= self.api_threads:
            raise ValueError(
                f"{PREFIX}MAX_WAITING and {PREFIX}MAX_DOWNLOADS together must be less than {PREFIX}API_THREADS: each "
                "waiting connection and each download takes a thread"
            )
        return self
