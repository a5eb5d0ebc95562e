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
from worker.engine.families import decoder_economy
from worker.engine.families.decoder_economy import TILING
from worker.engine.families.pipeline_call import build_arguments
from worker.engine.families.pipeline_output import read_pictures
from worker.engine.interface import Inputs
from worker.engine.torch_backend import schedulers

Call = tuple[Any, dict[str, Any]]
"""A pipeline with a scheduler of its own, and the arguments of its call."""


class PipelineRun:
    """One call of a pipeline for one image; a call that fails is made again from its first step, if it goes on."""

    def __init__(self, prepare: Callable[[], Call], request: ImageRequest, seed: int) -> None:
        self.seed = seed
        self._steps = request.steps
        self._prepare = prepare
        self._pipeline: Any = None
        self.done = 0
        self.output: Any = None  # what the call returned
        self._greenlet: greenlet | None = self._begin()

    @property
    def is_over(self) -> bool:
        """Return whether the call has returned."""
        return self._greenlet is not None and self._greenlet.dead

    @property
    def total(self) -> int:
        """Return the number of steps, which the pipeline knows once the run has begun, and the end alone for sure.

        With an init image a pipeline takes the last of its scheduler's steps only.
        """
        if self.is_over:
            return self.done
        # Most pipelines count their steps, so that what follows the last is known to be decoding.
        begun = getattr(self._pipeline, "_num_timesteps", None) or len(self._pipeline.scheduler.timesteps)
        return max(begun if self.done else self._steps, self.done)

    def go_on(self) -> None:
        """Run until the pipeline yields control or returns."""
        if self._greenlet is None:
            self._greenlet = self._begin()
        try:
            output = self._greenlet.switch()
        except Exception:
            self.close()
            self._greenlet, self.done = None, 0
            raise
        if self.is_over:
            self.output = output

    def close(self) -> None:
        """Abandon the run at its current step."""
        if self._greenlet:
            with suppress(Exception):  # a pipeline may raise anything while it is unwound; nothing waits for it
                self._greenlet.throw()
        vars(self._pipeline.scheduler).pop("step", None)  # breaks a reference cycle with the callback

    def _begin(self) -> greenlet:
        pipeline, arguments = self._prepare()
        self._pipeline = pipeline
        _yield_after_steps(pipeline.scheduler, self)
        return greenlet(lambda: pipeline(**arguments))


class SingleImageFamily:
    """One model that can only be run by its own pipeline."""

    most_rows = 1

    def __init__(self, pipeline: Any, card: ModelCard) -> None:
        self.pipeline = pipeline
        self.card = card

    @property
    def economies(self) -> int:
        """Return in how many ways the decoder can save memory: by tiling only, as it decodes one picture at a time."""
        return decoder_economy.count_economies(self.pipeline, [TILING])

    def economize(self, level: int) -> None:
        """Let the decoder save memory in the first *level* ways; tiles may change the picture a little."""
        decoder_economy.set_economy(self.pipeline, level, [TILING])

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
            while not run.is_over:
                run.go_on()
        return torch.cat([read_pictures(run.output) for run in drawings])

    def _make_run(self, request: ImageRequest, seed: int, inputs: Inputs) -> PipelineRun:
        def prepare() -> Call:
            own = copy.copy(self.pipeline)  # shares every part, but gets its own scheduler
            own.scheduler = schedulers.create_scheduler(
                own.scheduler, self.card.family, request.scheduler, request.steps
            )
            return own, build_arguments(own, self.card, request, seed, inputs)

        return PipelineRun(prepare, request, seed)


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
