"""Settings: models, adapters, accelerator and speed of a press."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from common.settings.parsing import PREFIX, CommaSeparated, split_commas

SpeedWord = Literal["auto", "none", "channels_last", "fuse_qkv", "compile", "int8", "fp8"]
REWORKED = frozenset({"fuse_qkv", "compile", "int8", "fp8"})
"""Optimizations that change the layers that an adapter is applied to."""


class PressSettings(BaseModel):
    """Settings: models, adapters, accelerator and speed of a press."""

    models: CommaSeparated = Field((), description="Model directories, comma-separated. Default: the starter model.")
    default_model: str | None = Field(None, description="Model of requests that do not name one. Default: the first.")
    adapters: Path | None = Field(
        None, description="Directory of the available LoRA adapters (`NAME.safetensors`). Default: none."
    )
    gpu_price_per_hour: Decimal = Field(
        Decimal("0.60"), ge=0, description="Price of one hour of this press's accelerator."
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="Currency of `GPU_PRICE_PER_HOUR` (ISO 4217).")
    device: str = Field(
        "auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        description="Accelerator of the press.",
    )
    precision: str = Field(
        "auto",
        pattern=r"^(auto|bf16|fp16|fp32)$",
        description="Numeric precision of the models; `auto` is 16 bits on a GPU and 32 bits on a CPU.",
    )
    speed: Annotated[tuple[SpeedWord, ...], NoDecode, BeforeValidator(split_commas)] = Field(
        ("auto",),
        description="Optimizations, comma-separated: `channels_last`, `fuse_qkv`, `compile`, `int8` or `fp8`."
        " `auto` selects those measured to help on this kind of device; `none` selects none.",
    )
    max_batch: int = Field(16, ge=1, le=64, description="Maximum number of images that a press processes in one batch.")
    model_memory_gb: float | None = Field(
        None, gt=0, description="Memory for models, in GB. Default: 70 % of the GPU's memory, or half of the machine's."
    )
    step_timeout_seconds: float = Field(
        300, gt=0, description="Maximum duration of a denoising step or a model load; a press that exceeds it restarts."
    )
    painted_step_seconds: float = Field(0.01, ge=0, description="Duration of one step of the `painted` test model.")

    @model_validator(mode="after")
    def _check_speed(self) -> Self:
        words = set(self.speed)
        if "none" in words and len(words) > 1:
            raise ValueError(f"{PREFIX}SPEED must not combine none with other values")
        if {"int8", "fp8"} <= words:
            raise ValueError(f"{PREFIX}SPEED must not contain both int8 and fp8")
        if self.adapters is not None and (reworked := sorted(words & REWORKED)):
            raise ValueError(
                f"{PREFIX}SPEED must not contain {', '.join(reworked)} when {PREFIX}ADAPTERS is set:"
                " they change the layers that adapters are applied to"
            )
        return self
