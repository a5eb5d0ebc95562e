"""Fallback family for any other diffusers text-to-image pipeline: one image at a time, paused after each step.

The pipeline's call runs as a coroutine (a greenlet) in the engine's thread, which returns control after each step of
its scheduler. So it takes turns like every other request, and can be interrupted between two steps.
"""

import copy
import functools
import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from greenlet import getcurrent, greenlet

from common.errors import GenerationError
from common.jobs.request import ImageRequest, Mode
from common.models.catalog import ModelCard
from worker.engine.families.denoising import create_generator
from worker.engine.interface import Inputs
from worker.engine.torch_backend import schedulers


class PipelineRun:
    """One call of a pipeline for one image."""

    def __init__(self, call: Callable[[], Any], request: ImageRequest, seed: int, scheduler: Any) -> None:
        self.seed = seed
        self.done = 0
        self._request = request
        self._scheduler = scheduler
        self._greenlet = greenlet(call)

    @property
    def total(self) -> int:
        """Return the number of steps, which the scheduler knows once the run has begun."""
        return len(self._scheduler.timesteps) if self.done else self._request.steps

    def go_on(self) -> Any:
        """Run until the pipeline yields control; return the call's result once it has returned."""
        return self._greenlet.switch()

    def close(self) -> None:
        """Abandon the run at its current step."""
        if self._greenlet:
            with suppress(Exception):  # a pipeline may raise anything while it is unwound; nothing waits for it
                self._greenlet.throw()
        vars(self._scheduler).pop("step", None)  # breaks a reference cycle with the callback


class SingleImageFamily:
    """One model that can only be run by its own pipeline."""

    most_rows = 1

    def __init__(self, pipeline: Any, card: ModelCard) -> None:
        self.pipeline = pipeline
        self._card = card

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[PipelineRun]:
        """Return a run for each seed; each encodes the prompt in its first step."""
        if request.mode is not Mode.TEXT:
            raise GenerationError(f"This model does not support the mode {request.mode}.")
        return [self._make_run(request, seed) for seed in seeds]

    def step(self, drawings: Sequence[PipelineRun]) -> None:
        """Continue each run to the end of its next step."""
        for run in drawings:
            before = run.done
            run.go_on()
            if run.done == before:
                raise GenerationError("The pipeline ended before its last step.")

    def decode(self, drawings: Sequence[PipelineRun]) -> torch.Tensor:
        """Continue each run to its end; return the images, from 0 to 1."""
        return torch.cat([run.go_on().images for run in drawings])

    def _make_run(self, request: ImageRequest, seed: int) -> PipelineRun:
        own = copy.copy(self.pipeline)  # shares every part, but gets its own scheduler
        own.scheduler = schedulers.create_scheduler(own.scheduler, self._card.family, request.scheduler, request.steps)
        run = PipelineRun(lambda: own(**_build_arguments(own, self._card, request, seed)), request, seed, own.scheduler)
        _yield_after_steps(own.scheduler, run)
        return run


def _yield_after_steps(scheduler: Any, run: PipelineRun) -> None:
    """Make *scheduler* return control to the engine after each step.

    Every pipeline calls its scheduler once per step, while some do not support ``callback_on_step_end``.
    """
    step: Callable[..., Any] = scheduler.step

    @functools.wraps(step)
    def step_and_hand_back(*arguments: Any, **options: Any) -> Any:
        result = step(*arguments, **options)
        run.done += 1
        if (engine := getcurrent().parent) is not None:
            engine.switch()
        return result

    scheduler.step = step_and_hand_back


def _build_arguments(pipeline: Any, card: ModelCard, request: ImageRequest, seed: int) -> dict[str, Any]:
    """Return the arguments of the request that this pipeline's call accepts."""
    wanted: dict[str, Any] = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "generator": create_generator(seed),
        "output_type": "pt",
    }
    if card.negative_prompt:
        wanted["negative_prompt"] = request.negative_prompt
    taken = _list_parameters(type(pipeline).__call__)
    return {name: value for name, value in wanted.items() if name in taken}


@functools.cache
def _list_parameters(call: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(call).parameters)
