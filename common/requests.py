"""What a job asks for, once the edge has checked it."""

from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

LARGEST_SEED = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""


class OutputFormat(StrEnum):
    """File formats of the images."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"

    @property
    def content_type(self) -> str:
        """Return the media type."""
        return f"image/{self.value}"


class SchedulerName(StrEnum):
    """The schedulers that may be asked for; any other name is refused."""

    EULER = "euler"
    EULER_ANCESTRAL = "euler_ancestral"
    DDIM = "ddim"
    DPMPP_2M = "dpmpp_2m"
    DPMPP_2M_KARRAS = "dpmpp_2m_karras"
    LCM = "lcm"
    UNIPC = "unipc"


class ImageRequest(BaseModel):
    """One order, complete: every default is filled in, the seed included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    negative_prompt: str = ""
    model: str
    width: int
    height: int
    steps: int
    guidance_scale: float
    seed: int
    num_images: int = 1
    scheduler: SchedulerName | None = None  # None: the model's own
    output_format: OutputFormat = OutputFormat.PNG

    @property
    def lane(self) -> str:
        """Return what two requests must share to be stepped in one batch."""
        guided = "guided" if self.guidance_scale > 1 else "plain"
        return f"{self.model}|{self.width}x{self.height}|{guided}"

    @property
    def seeds(self) -> list[int]:
        """Return the seed of each image: the request's own, then its successors."""
        return [(self.seed + offset) % (LARGEST_SEED + 1) for offset in range(self.num_images)]

    @property
    def pixel_steps(self) -> int:
        """Return width × height × steps × images, the measure by which jobs are limited."""
        return self.width * self.height * self.steps * self.num_images

    @classmethod
    def from_row(cls, stored: dict[str, Any]) -> Self:
        """Read a request back from its JSON column."""
        return cls.model_validate(stored)
