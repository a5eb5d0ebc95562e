"""What the families of known shape have in common: each picture has its own scheduler, the model sees them together.

A diffusers scheduler holds the state of one run, so each drawing owns a copy, and pictures that differ in scheduler,
step count and position can share a forward pass: the model takes one timestep per row.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from common.errors import GenerationError
from common.jobs.request import ImageRequest, Mode
from common.models.catalog import ModelCard
from worker.engine.families.async_copies import told_ahead
from worker.engine.interface import Inputs
from worker.engine.torch_backend import optimizations, schedulers
from worker.torch_device import Device

Tensor = torch.Tensor


@dataclass(eq=False)
class Denoising:
    """One picture being denoised: its own scheduler, noise and place on the way."""

    request: ImageRequest
    seed: int
    scheduler: Any
    timesteps: Tensor  # 1-D, on the CPU, so that reading one never waits for the accelerator
    latents: Tensor  # one row
    condition: dict[
        str, Tensor
    ]  # what the model is told, by the family's own names; "prompt" among them: see ``sides``
    step_options: dict[str, Any] = field(default_factory=dict)  # of ``scheduler.step``
    beside: Tensor | None = None  # what the model sees in further channels: mask and masked picture
    after_step: Callable[["Denoising"], None] | None = None  # what a mode does to the latents between steps
    done: int = 0

    @property
    def total(self) -> int:
        """Return how many steps it takes."""
        return len(self.timesteps)

    @property
    def sides(self) -> int:
        """Return how many rows of the model's batch it fills: two where guidance asks without the prompt, then with."""
        return len(self.condition["prompt"])

    @property
    def timestep(self) -> Tensor:
        """Return the time of its next step."""
        return self.timesteps[self.done]

    def scaled_latents(self) -> Tensor:
        """Return the latents as the model is to see them at the next step."""
        scale = getattr(self.scheduler, "scale_model_input", None)  # those that match flows have none
        scaled: Tensor = self.latents if scale is None else scale(self.latents, self.timestep)
        return scaled if self.beside is None else torch.cat([scaled, self.beside], dim=1)

    def advance(self, output: Tensor) -> None:
        """Take one step along what the model said."""
        moved = self.scheduler.step(output, self.timestep, self.latents, **self.step_options, return_dict=False)[0]
        self.latents = moved.to(output.dtype)
        self.done += 1
        if self.after_step is not None:
            self.after_step(self)

    def close(self) -> None:
        """Give it up."""


class DenoisingFamily:
    """A family that steps many pictures at once; a subclass says how its model is asked and how latents are decoded."""

    most_rows: int | None = None
    modes: frozenset[Mode] = frozenset({Mode.TEXT})

    def __init__(self, pipeline: Any, card: ModelCard, device: Device) -> None:
        self.pipeline = pipeline
        self.card = card
        self.device = device
        self._is_compiled = optimizations.is_compiled(pipeline)

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[Denoising]:
        """Encode the prompt once and return a drawing for each seed."""
        if request.mode not in self.modes:
            raise GenerationError(f"This model cannot work in the mode {request.mode}.")
        condition = self.encode(request)
        return [self.draw(request, seed, inputs, condition) for seed in seeds]

    def step(self, drawings: Sequence[Denoising]) -> None:
        """Ask the model once for all rows, then let each row's scheduler take its own step."""
        missing = optimizations.round_up(len(drawings)) - len(drawings) if self._is_compiled else 0
        output = self.forward([*drawings, *[drawings[-1]] * missing])[: len(drawings)]
        for drawing, row in zip(drawings, output.split(1), strict=True):
            with told_ahead(self.device.torch, drawing):
                drawing.advance(row)

    def own_pipeline(self, request: ImageRequest) -> Any:
        """Return the pipeline with a scheduler of this request's own; all weights are shared."""
        own = copy.copy(self.pipeline)
        own.scheduler = schedulers.make(self.pipeline.scheduler, self.card.family, request.scheduler, request.steps)
        return own

    def forward(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the model's output for each row, guided where guidance is on: for all of a lane, or for none."""
        sides = drawings[0].sides
        rows = torch.cat([drawing.scaled_latents() for drawing in drawings])
        times = stack_times(drawings).to(self.device.torch, non_blocking=True)
        output = self.ask(rows.repeat_interleave(sides, 0), times.repeat_interleave(sides), drawings)
        return output if sides == 1 else guide(output, drawings)

    def paint(self, latents: Tensor) -> Tensor:
        """Return the pictures, from 0 to 1, that the decoder makes of latents in its own scale."""
        pixels = self.pipeline.vae.decode(latents, return_dict=False)[0]
        pictures: Tensor = self.pipeline.image_processor.postprocess(pixels.float(), output_type="pt")
        return pictures

    def encode(self, request: ImageRequest) -> dict[str, Tensor]:
        """Return what the model is to be told of the prompt: one row each, or two, without the prompt and with it."""
        raise NotImplementedError

    def draw(self, request: ImageRequest, seed: int, inputs: Inputs, condition: dict[str, Tensor]) -> Denoising:
        """Return the drawing of one seed, no step done."""
        raise NotImplementedError

    def ask(self, rows: Tensor, times: Tensor, drawings: Sequence[Denoising]) -> Tensor:
        """Return the model's output for *rows*, which stand in the order of the stacked conditions of *drawings*."""
        raise NotImplementedError

    def decode(self, drawings: Sequence[Denoising]) -> Tensor:
        """Return the finished pictures, from 0 to 1."""
        raise NotImplementedError


def generator(seed: int) -> torch.Generator:
    """Return the dice of one picture; on the CPU, so that a seed means the same noise on every accelerator."""
    return torch.Generator("cpu").manual_seed(seed)


def stack(drawings: Sequence[Denoising], name: str) -> Tensor:
    """Return one of the drawings' conditions as a batch."""
    return torch.cat([drawing.condition[name] for drawing in drawings])


def stack_times(drawings: Sequence[Denoising]) -> Tensor:
    """Return the time of each row's next step, on the CPU; in float, for some schedulers count between whole steps."""
    return torch.stack([drawing.timestep.float() for drawing in drawings])


def guidance_scales(drawings: Sequence[Denoising], device: torch.device) -> Tensor:
    """Return the guidance scale of each row, in 32 bits, for 16 would round it."""
    scales = torch.tensor([drawing.request.guidance_scale for drawing in drawings], dtype=torch.float32)
    return scales.to(device, non_blocking=True)


def guide(output: Tensor, drawings: Sequence[Denoising]) -> Tensor:
    """Return the guided output of a batch of pairs, without the prompt and with it (Ho and Salimans, 2022)."""
    without, with_prompt = output.unflatten(0, (-1, 2)).unbind(1)
    scale = guidance_scales(drawings, output.device).view(-1, *[1] * (output.dim() - 1))
    return (without + scale * (with_prompt - without)).to(output.dtype)
