"""What a press prints with, and how fast."""

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator
from pydantic_settings import NoDecode

from common.settings.parsing import PREFIX, CommaSeparated, split_commas

SpeedWord = Literal["auto", "none", "channels_last", "fuse_qkv", "compile", "int8", "fp8"]
REWORKED = frozenset({"fuse_qkv", "compile", "int8", "fp8"})
"""Words for speed that change the very layers that an adapter would be laid over."""


class PressSettings(BaseModel):
    """What a press prints with, and how fast."""

    models: CommaSeparated = Field(
        (), description="Model directories, separated by commas; by default the starter model."
    )
    default_model: str | None = Field(None, description="Model of a request that names none; by default the first.")
    adapters: Path | None = Field(
        None, description="Directory of the LoRAs on offer, `NAME.safetensors`; by default none."
    )
    gpu_price_per_hour: Decimal = Field(
        Decimal("0.60"), ge=0, description="What one hour of this press's accelerator costs."
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of that price.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="Accelerator of the press.")
    precision: str = Field(
        "auto",
        pattern=r"^(auto|bf16|fp16|fp32)$",
        description="Numbers that models compute in; `auto`: 16 bits on a GPU, 32 on a CPU.",
    )
    speed: Annotated[tuple[SpeedWord, ...], NoDecode, BeforeValidator(split_commas)] = Field(
        ("auto",),
        description="What is done for speed, separated by commas: `channels_last`, `fuse_qkv`, `compile`, `int8` or"
        " `fp8`; `auto`: what was measured to help on this kind of device; `none`: nothing.",
    )
    max_batch: int = Field(16, ge=1, le=64, description="Pictures that a press may step together at most.")
    model_memory_gb: float | None = Field(
        None, gt=0, description="Memory for models, 10⁹ bytes; by default 70 % of a GPU's, half of the machine's."
    )
    step_timeout_seconds: float = Field(
        300, gt=0, description="A denoising step, or a model's load, that takes longer ends the press."
    )
    painted_step_seconds: float = Field(0.01, ge=0, description="Length of a step of the painted stand-in model.")

    @model_validator(mode="after")
    def _check_speed(self) -> Self:
        words = set(self.speed)
        if "none" in words and len(words) > 1:
            raise ValueError(f"{PREFIX}SPEED must not name anything beside none")
        if {"int8", "fp8"} <= words:
            raise ValueError(f"{PREFIX}SPEED must name one of int8 and fp8, not both")
        if self.adapters is not None and (reworked := sorted(words & REWORKED)):
            raise ValueError(
                f"{PREFIX}SPEED must not name {', '.join(reworked)} where {PREFIX}ADAPTERS is set:"
                " the layers that adapters are laid over would be changed"
            )
        return self
