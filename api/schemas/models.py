"""The JSON of models."""

from typing import Literal

from pydantic import Field

from api.web.output import Output
from common.jobs.request import Mode, SchedulerName


class Limits(Output):
    """What a request may ask of a model."""

    min_size: int
    max_size: int
    size_multiple: int = Field(description="Width and height must be multiples of this.")
    max_steps: int
    max_images: int
    max_pixel_steps: int = Field(description="The most that width × height × steps × num_images may be.")


class Defaults(Output):
    """What a request gets that does not say."""

    width: int
    height: int
    steps: int
    guidance_scale: float


class Adapter(Output):
    """A LoRA that may be laid over a model's weights."""

    name: str
    title: str
    description: str
    default_scale: float
    trigger_words: list[str] = Field(description="Words in the prompt that it was trained to heed.")
    licence: str


class Model(Output):
    """A model that jobs may name."""

    id: str
    object: Literal["model"] = "model"
    title: str
    description: str
    family: str
    is_default: bool
    available: bool = Field(description="Whether a press that has it is at work now; jobs wait for one.")
    limits: Limits
    defaults: Defaults
    schedulers: list[SchedulerName]
    negative_prompt: bool = Field(description="Whether it heeds a negative prompt.")
    modes: list[Mode] = Field(
        description="What it can start from: `text` alone, an `image` (`init_image`), or one and a mask (`inpaint`)."
    )
    adapters: list[Adapter] = Field(description="What a job for this model may name in `adapters`.")


class ModelList(Output):
    """All models."""

    object: Literal["list"] = "list"
    data: list[Model]
