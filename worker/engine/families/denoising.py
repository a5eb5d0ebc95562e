"""Base of the batching families: each image has its own scheduler, and the model runs on all of them at once.

A diffusers scheduler holds the state of one run, so each drawing owns a copy, and images that differ in scheduler, step
count and position can share a forward pass: the model takes one timestep per row.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from common.errors import GenerationError
from common.jobs.request import ImageRequest, Mode
from common.models.catalog import ModelCard
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from worker.engine.families import decoder_economy, prompt_tokens
from worker.engine.families.async_copies import allow_async_copies
from worker.engine.interface import Inputs
from worker.engine.torch_backend import optimizations, schedulers
from worker.torch_device import Device

Tensor = torch.Tensor


@dataclass(eq=False)
class Denoising:
    """One image being denoised, with its own scheduler, noise and position."""

    request: ImageRequest
    seed: int
    scheduler: Any
    timesteps: Tensor  # 1-D, on the CPU, so that reading one never waits for the accelerator
    latents: Tensor  # one row
    condition: dict[str, Tensor]  # model conditions by the family's names, including "prompt": see ``sides``
    step_options: dict[str, Any] = field(default_factory=dict)  # of ``scheduler.step``
    beside: Tensor | None = None  # extra input channels: mask and masked image
    after_step: Callable[["Denoising"], None] | None = None  # applied to the latents between steps
    done: int = 0

    @property
    def total(self) -> int:
        """Return the number of steps."""
        return len(self.timesteps)

    @property
    def sides(self) -> int:
        """Return the number of model rows it fills: two with guidance (without and with the prompt)."""
        return len(self.condition["prompt"])

    @property
    def timestep(self) -> Tensor:
        """Return the timestep of the next step."""
        return self.timesteps[self.done]

    def scaled_latents(self) -> Tensor:
        """Return the latents as model input for the next step."""
        scale = getattr(self.scheduler, "scale_model_input", None)  # flow-matching schedulers do not have it
        scaled: Tensor = self.latents if scale is None else scale(self.latents, self.timestep)
        return scaled if self.beside is None else torch.cat([scaled, self.beside], dim=1)

    def advance(self, output: Tensor) -> None:
        """Take one step with the model's output."""
        moved = self.scheduler.step(output, self.timestep, self.latents, **self.step_options, return_dict=False)[0]
        self.latents = moved.to(output.dtype)
        self.done += 1
        if self.after_step is not None:
            self.after_step(self)

    def close(self) -> None:
        """Abandon the drawing."""


class DenoisingFamily:
    """A family that steps many images at once; subclasses define the model call and the decoding."""

    most_rows: int | None = None
    modes: frozenset[Mode] = frozenset({Mode.TEXT})
    token_limits: Mapping[str, int] = {}
    """See ``prompt_tokens.count_tokens``."""

    def __init__(self, pipeline: Any, card: ModelCard, device: Device) -> None:
        self.pipeline = pipeline
        self.card = card
        self.device = device
        self._is_compiled = optimizations.is_compiled(pipeline)

    @property
    def economies(self) -> int:
        """Return in how many ways the decoder can save memory: 1 by slicing, 2 by tiling as well."""
        return decoder_economy.count_economies(self.pipeline)

    def economize(self, level: int) -> None:
        """Let the decoder save memory in the first *level* ways; tiles may change the picture a little."""
        decoder_economy.set_economy(self.pipeline, level)

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Denoising]:
        """Encode the prompt once and return a drawing for each seed."""
        if request.mode not in self.modes:
            raise GenerationError(f"This model does not support the mode {request.mode}.")
        condition = self.encode(request)
        return [self.draw(request, seed, inputs, condition) for seed in seeds]

    def count_tokens(self, request: ImageRequest) -> PromptTokens | None:
        """Return how much of the prompt the text encoders read."""
        return prompt_tokens.count_tokens(self.pipeline, request.prompt, self.token_limits)

    def list_encoders(self) -> list[TextEncoder]:
        """Return the text encoders, for others to count with; none if that is not possible."""
        return prompt_tokens.list_encoders(self.pipeline, self.token_limits)

    def step(self, drawings: Sequence[Denoising]) -> None:
        """Run the model once for all rows, then step each row's own scheduler."""
        missing = optimizations.round_up_rows(len(drawings)) - len(drawings) if self._is_compiled else 0
        output = self.forward([*drawings, *[drawings[-1]] * missing])[: len(drawings)]
        for drawing, row in zip(drawings, output.split(1), strict=True):
            with allow_async_copies(self.device.torch, drawing):
                drawing.advance(row)

    def own_pipeline(self, request: ImageRequest) -> Any:
        """Return the pipeline with a separate scheduler for this request; all weights are shared."""
        own = copy.copy(self.pipeline)
        own.scheduler = schedulers.create_scheduler(
            self.pipeline.scheduler, self.card.family, request.scheduler, request.steps
        )
        return own

    def forward(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the model's output for each row, guided if guidance is on, which is the same for a whole lane."""
        sides = drawings[0].sides
        rows = torch.cat([drawing.scaled_latents() for drawing in drawings])
        times = stack_times(drawings).to(self.device.torch, non_blocking=True)
        output = self.ask(rows.repeat_interleave(sides, 0), times.repeat_interleave(sides), drawings)
        return output if sides == 1 else apply_guidance(output, drawings)

    def paint(self, latents: Tensor) -> Tensor:
        """Decode latents in the decoder's own scale to images from 0 to 1."""
        pixels = self.pipeline.vae.decode(latents, return_dict=False)[0]
        pictures: Tensor = self.pipeline.image_processor.postprocess(pixels.float(), output_type="pt")
        return pictures

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return the prompt conditions: one row each, or two (without and with the prompt)."""
        raise NotImplementedError

    def draw(self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor]) -> Denoising:
        """Return the initial drawing for one seed."""
        raise NotImplementedError

    def ask(self, rows: Tensor, times: Tensor, drawings: Sequence[Denoising]) -> Tensor:
        """Return the model's output for *rows*, in the order of the stacked conditions of *drawings*."""
        raise NotImplementedError

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished images, from 0 to 1."""
        raise NotImplementedError


def create_generator(seed: int) -> torch.Generator:
    """Return the random generator of one image, on the CPU, so that a seed gives the same noise on every device."""
    return torch.Generator("cpu").manual_seed(seed)


def stack_conditions(drawings: Sequence[Denoising], name: str) -> Tensor:
    """Return one of the drawings' conditions as a batch."""
    return torch.cat([drawing.condition[name] for drawing in drawings])


def stack_times(drawings: Sequence[Denoising]) -> Tensor:
    """Return each row's next timestep on the CPU, as float because some schedulers use fractional timesteps."""
    return torch.stack([drawing.timestep.float() for drawing in drawings])


def build_guidance_scales(drawings: Sequence[Denoising], device: torch.device) -> Tensor:
    """Return each row's guidance scale in 32 bits, because 16 bits would round it."""
    scales = torch.tensor([drawing.request.guidance_scale for drawing in drawings], dtype=torch.float32)
    return scales.to(device, non_blocking=True)


def apply_guidance(output: Tensor, drawings: Sequence[Denoising]) -> Tensor:
    """Return the guided output of a batch of pairs, without the prompt and with it (Ho and Salimans, 2022)."""
    without, with_prompt = output.unflatten(0, (-1, 2)).unbind(1)
    scale = build_guidance_scales(drawings, output.device).view(-1, *[1] * (output.dim() - 1))
    return (without + scale * (with_prompt - without)).to(output.dtype)
