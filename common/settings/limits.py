"""Settings: limits per owner, job, upload and process."""

from pydantic import BaseModel, Field


class LimitSettings(BaseModel):
    """Settings: limits per owner, job, upload and process."""

    max_queued_jobs: int = Field(
        10_000, ge=1, description="Maximum number of queued jobs per owner; further requests get 429."
    )
    api_threads: int = Field(
        16,
        ge=1,
        description="Number of requests that an api process works on at a time. Connections that wait and downloads "
        "have threads of their own.",
    )
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
    max_keys: int = Field(100, ge=1, description="Maximum number of valid API keys per owner; further ones get 422.")
    max_styles: int = Field(
        10_000, ge=1, description="Maximum number of styles per owner, each version counted; further ones get 422."
    )
    max_campaigns: int = Field(
        1000, ge=1, description="Maximum number of campaigns per owner that have not ended; further ones get 422."
    )
    max_recipients: int = Field(100_000, ge=1, description="Maximum number of recipients of one campaign.")
    max_recipients_bytes: int = Field(100_000_000, ge=1024, description="Maximum size of a recipients file, in bytes.")
    link_seconds: int = Field(900, ge=60, le=604_800, description="Lifetime of a signed image link, in seconds.")
    idempotency_hours: int = Field(24, ge=1, description="How long an `Idempotency-Key` is remembered, in hours.")
