"""Fallback family for any other diffusers image pipeline: one image at a time, paused after each step.

The pipeline's call runs as a coroutine (a greenlet) in the engine's thread, which returns control after each step of
its scheduler. So it takes turns like every other request, and can be interrupted between two steps.
"""

import copy
import functools
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import torch
from greenlet import getcurrent, greenlet

from common.errors import GenerationError
from common.jobs.request import ImageRequest
from common.models.catalog import ModelCard
from common.models.prompt_tokens import PromptTokens
from common.models.text_encoders import TextEncoder
from worker.engine.families.denoising import ECONOMIES
from worker.engine.families.pipeline_call import build_arguments
from worker.engine.families.pipeline_output import read_pictures
from worker.engine.interface import Inputs
from worker.engine.torch_backend import schedulers
from worker.engine.torch_backend.errors import is_out_of_memory


class PipelineRun:
    """One call of a pipeline for one image."""

    def __init__(self, call: Callable[[], Any], request: ImageRequest, seed: int, scheduler: Any) -> None:
        self.seed = seed
        self._steps = request.steps
        self.done = 0
        self.output: Any = None  # what the call returned
        self._scheduler = scheduler
        self._greenlet = greenlet(call)

    @property
    def is_over(self) -> bool:
        """Return whether the call has returned."""
        return self._greenlet.dead

    @property
    def total(self) -> int:
        """Return the number of steps, which the scheduler knows once the run has begun, and the end alone for sure.

        With an init image a pipeline takes the last of its scheduler's steps only.
        """
        if self.is_over:
            return self.done
        return max(len(self._scheduler.timesteps) if self.done else self._steps, self.done)

    def go_on(self) -> None:
        """Run until the pipeline yields control or returns."""
        output = self._greenlet.switch()
        if self.is_over:
            self.output = output

    def close(self) -> None:
        """Abandon the run at its current step."""
        if self._greenlet:
            with suppress(Exception):  # a pipeline may raise anything while it is unwound; nothing waits for it
                self._greenlet.throw()
        vars(self._scheduler).pop("step", None)  # breaks a reference cycle with the callback


class SingleImageFamily:
    """One model that can only be run by its own pipeline."""

    most_rows = 1
    economies = 0

    def __init__(self, pipeline: Any, card: ModelCard) -> None:
        self.pipeline = pipeline
        self.card = card

    def economize(self, level: int) -> None:
        """Do nothing: a run decodes by itself."""

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[PipelineRun]:
        """Return a run for each seed; each encodes the prompt in its first step."""
        if request.mode not in self.card.modes:
            raise GenerationError(f"This model does not support the mode {request.mode}.")
        return [self._make_run(request, seed, inputs) for seed in seeds]

    def count_tokens(self, request: ImageRequest) -> PromptTokens | None:
        """Return None: how such a pipeline encodes a prompt is its own."""
        return None

    def list_encoders(self) -> list[TextEncoder]:
        """Return none: how such a pipeline encodes a prompt is its own."""
        return []

    def step(self, drawings: Sequence[PipelineRun]) -> None:
        """Continue each run to the end of its next step, or to its end."""
        for run in drawings:
            run.go_on()
            if run.done == 0:
                raise GenerationError("The pipeline ended before its first step.")

    def decode(self, drawings: Sequence[PipelineRun]) -> torch.Tensor:
        """Continue each run to its end; return the images, from 0 to 1."""
        for run in drawings:
            try:
                while not run.is_over:
                    run.go_on()
            except Exception as error:
                if is_out_of_memory(error):
                    self._save_memory()
                raise
        return torch.cat([read_pictures(run.output) for run in drawings])

    def _save_memory(self) -> None:
        """Decode in tiles from now on, since a run that failed cannot be continued, only repeated."""
        vae = getattr(self.pipeline, "vae", None)
        for name in ECONOMIES:
            if hasattr(vae, name):
                setattr(vae, name, True)

    def _make_run(self, request: ImageRequest, seed: int, inputs: Inputs) -> PipelineRun:
        own = copy.copy(self.pipeline)  # shares every part, but gets its own scheduler
        own.scheduler = schedulers.create_scheduler(own.scheduler, self.card.family, request.scheduler, request.steps)
        arguments = build_arguments(own, self.card, request, seed, inputs)
        run = PipelineRun(lambda: own(**arguments), request, seed, own.scheduler)
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
