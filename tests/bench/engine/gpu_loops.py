"""Two ways to print with one loaded pipeline: the stock pipeline in a bare loop, and our engine's loop.

Both end with the pixels as bytes on the host, and encode, check and keep nothing. Both call the same model with inputs
of the same shapes and types, so that a compiled model runs the same code for them.
"""

import copy
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch

from common.jobs.request import ImageRequest
from common.models.catalog import Family, ModelCard
from common.settings import Settings
from common.states.jobs import Priority
from tests.bench.service.service import PROMPT
from worker.engine.engine import BatchingEngine
from worker.engine.families.factory import FAMILIES
from worker.engine.interface import NO_INPUTS, NullObserver
from worker.engine.model_cache import LoadedModel
from worker.engine.torch_backend.accelerator import TorchAccelerator
from worker.metering.meter import Meter
from worker.torch_device import Device

Print = Callable[[int, int], None]
"""Prints so many pictures in so many steps."""


@dataclass(frozen=True)
class TimeForEachRow:
    """A U-Net that is called as the stock pipeline does and passes it on as our families do, one time for each row."""

    unet: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unet, name)

    def __call__(
        self,
        rows: torch.Tensor,
        time: torch.Tensor,
        encoder_hidden_states: torch.Tensor,
        timestep_cond: torch.Tensor | None = None,
        added_cond_kwargs: dict[str, torch.Tensor] | None = None,
        return_dict: bool = False,
        **_unused: None,
    ) -> Any:
        times = time.float().to(rows.device).expand(len(rows)).contiguous()
        return self.unet(
            rows,
            times,
            encoder_hidden_states,
            timestep_cond=timestep_cond,
            added_cond_kwargs=added_cond_kwargs,
            return_dict=return_dict,
        )


class BareLoop:
    """Calls the stock pipeline with a batch of prompts, again and again."""

    def __init__(self, pipeline: Any, card: ModelCard, rows: int) -> None:
        self._pipeline = copy.copy(pipeline)
        if card.family in (Family.SD15, Family.SDXL):
            object.__setattr__(self._pipeline, "unet", TimeForEachRow(pipeline.unet))
        self._card = card
        self._rows = rows

    def __call__(self, images: int, steps: int) -> None:
        """Print so many images, a multiple of its rows."""
        card = self._card
        for _ in range(images // self._rows):
            drawn = self._pipeline(
                [PROMPT] * self._rows,
                width=card.default_width,
                height=card.default_height,
                num_inference_steps=steps,
                guidance_scale=card.default_guidance_scale,
                generator=[torch.Generator("cpu").manual_seed(seed) for seed in range(self._rows)],
                output_type="pt",
            ).images
            (drawn.float() * 255).round().clamp(0, 255).to(torch.uint8).cpu()


class EngineLoop:
    """Our engine with requests of one picture each, as many in hand as fill its batch."""

    def __init__(self, pipeline: Any, card: ModelCard, device: Device, rows: int) -> None:
        family = FAMILIES[card.family](pipeline, card, device)
        family.most_rows = rows  # the batch is given here, not profiled
        self.meter = Meter()
        self._card = card
        self._pool = ThreadPoolExecutor(rows)
        self._engine = BatchingEngine(
            Settings(max_batch=rows),
            {card.name: (card, None)},
            self.meter,
            accelerator=TorchAccelerator(device),
            load=lambda _card, _directory: LoadedModel(family),
            budget_bytes=1,
        )

    def __call__(self, images: int, steps: int) -> None:
        """Print so many images."""
        list(self._pool.map(self._engine.generate, *zip(*(self._order(n, steps) for n in range(images)), strict=True)))

    def close(self) -> None:
        """End its threads."""
        self._engine.close()
        self._pool.shutdown()

    def _order(self, seed: int, steps: int) -> tuple[Any, ...]:
        card = self._card
        request = ImageRequest(
            prompt=PROMPT,
            model=card.name,
            width=card.default_width,
            height=card.default_height,
            steps=steps,
            guidance_scale=card.default_guidance_scale,
            seed=seed,
        )
        return request, NullObserver(), NO_INPUTS, Priority.BULK
