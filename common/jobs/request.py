"""The image request: the validated parameters of a job."""

import hashlib
from enum import StrEnum
from typing import Any, NamedTuple, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from common.safety.policy import Policy

LARGEST_SEED = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly (RFC 8259, section 6)."""

LARGEST_SCALE = 4.0
"""The largest absolute scale of an adapter."""

MOST_ADAPTERS = 4

GUIDED, UNGUIDED = "guided", "plain"


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


class Mode(StrEnum):
    """What an image is generated from."""

    TEXT = "text"  # noise and a prompt
    IMAGE = "image"  # another picture, some way back into noise
    INPAINT = "inpaint"  # another image, of which a mask marks what to generate again


class Adapter(BaseModel):
    """A LoRA adapter of the model, and its scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    scale: float = 1.0


class LaneKey(NamedTuple):
    """The lane of a request: requests may share the steps of one batch only if they agree in all of it."""

    model: str
    adapters: str  # a digest of names and scales; empty without adapters
    size: str  # `width x height`, without the spaces
    guidance: str  # GUIDED or UNGUIDED
    mode: str  # a Mode, or one that only a newer version has

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a key back; raise ValueError for a text that ``encode`` did not write."""
        model, adapters, size, guidance, mode = text.split("|")
        return cls(model, adapters, size, guidance, mode)

    def encode(self) -> str:
        """Return the key as one text, as jobs are stored and grouped by it."""
        return "|".join(self)


class ImageRequest(BaseModel):
    """A complete image request: every default is filled in, including the seed."""

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
    adapters: tuple[Adapter, ...] = ()
    init_image: UUID | None = None  # an asset of the owner's
    mask_image: UUID | None = None  # likewise; white is what is generated again
    strength: float = 1.0  # how far back into noise the init image goes; 1 without one
    fallback_image: UUID | None = None  # an asset of the owner's, which replaces each image that is blocked
    safety: Policy | None = None  # None: the operator's at the time when the job runs

    @property
    def mode(self) -> Mode:
        """Return what the images are generated from."""
        if self.init_image is None:
            return Mode.TEXT
        return Mode.IMAGE if self.mask_image is None else Mode.INPAINT

    @property
    def is_guided(self) -> bool:
        """Return whether classifier-free guidance is on, so that each step looks at the negative prompt too."""
        return self.guidance_scale > 1

    @property
    def lane(self) -> str:
        """Return the encoded ``LaneKey``: two requests may share a batch only if theirs are equal."""
        guidance = GUIDED if self.is_guided else UNGUIDED
        return LaneKey(self.model, self._adapters_key, f"{self.width}x{self.height}", guidance, self.mode).encode()

    @property
    def _adapters_key(self) -> str:
        """Return a short name for the adapters and their scales, the same for the same set in any order."""
        if not self.adapters:
            return ""
        named = "+".join(sorted(f"{adapter.name}*{adapter.scale!r}" for adapter in self.adapters))
        return hashlib.sha256(named.encode()).hexdigest()[:12]

    @property
    def seeds(self) -> list[int]:
        """Return the seed of each image: the request's own, then its successors."""
        return [(self.seed + offset) % (LARGEST_SEED + 1) for offset in range(self.num_images)]

    def reroll(self, times: int) -> Self:
        """Return the same request with the seeds that follow those of *times* earlier rolls."""
        return self.model_copy(update={"seed": (self.seed + times * self.num_images) % (LARGEST_SEED + 1)})

    @property
    def steps_taken(self) -> int:
        """Return how many of the steps are run: with an init image only the last ones, by its strength."""
        return self.steps if self.init_image is None else int(self.steps * self.strength)

    @property
    def pixel_steps(self) -> int:
        """Return width × height × steps × images, the measure by which jobs are limited."""
        return self.width * self.height * self.steps * self.num_images

    @classmethod
    def from_row(cls, stored: dict[str, Any]) -> Self:
        """Read a request back from its JSON column."""
        return cls.model_validate(stored)

    @classmethod
    def known_part(cls, stored: dict[str, Any]) -> Self:
        """Read back only the fields that this version knows: enough to show a request, not to run it."""
        return cls.model_validate({name: value for name, value in stored.items() if name in cls.model_fields})
