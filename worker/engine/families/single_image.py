"""Any diffusers text-to-image pipeline that no family knows, run whole: its own loop is stopped at each step.

The pipeline's call runs as a coroutine of the engine's thread (a greenlet), which hands back control wherever its
scheduler has taken a step. So it takes its turns like every other request, and can be given up between two steps.
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
from worker.engine.families.denoising import generator
from worker.engine.interface import Inputs
from worker.engine.torch_backend import schedulers


class WholeRun:
    """One call of a pipeline for one picture."""

    def __init__(self, call: Callable[[], Any], request: ImageRequest, seed: int, scheduler: Any) -> None:
        self.seed = seed
        self.done = 0
        self._request = request
        self._scheduler = scheduler
        self._greenlet = greenlet(call)

    @property
    def total(self) -> int:
        """Return how many steps it takes; its scheduler knows once it has begun."""
        return len(self._scheduler.timesteps) if self.done else self._request.steps

    def go_on(self) -> Any:
        """Run until it hands back control; return what the call returned, if it has."""
        return self._greenlet.switch()

    def close(self) -> None:
        """Give it up where it stands."""
        if self._greenlet:
            with suppress(Exception):  # a pipeline may raise whatever it likes on its way out; nobody waits for it
                self._greenlet.throw()
        vars(self._scheduler).pop("step", None)  # what hands back control refers to this run, which refers to it


class WholeFamily:
    """One model that only its own pipeline knows how to run."""

    most_rows = 1

    def __init__(self, pipeline: Any, card: ModelCard) -> None:
        self.pipeline = pipeline
        self._card = card

    def begin(self, request: ImageRequest, seeds: Sequence[int], inputs: Inputs) -> list[WholeRun]:
        """Return a run for each seed; each encodes the prompt for itself, in its first step."""
        if request.mode is not Mode.TEXT:
            raise GenerationError(f"This model cannot work in the mode {request.mode}.")
        return [self._make_run(request, seed) for seed in seeds]

    def step(self, drawings: Sequence[WholeRun]) -> None:
        """Let each run go on to the end of its next step."""
        for run in drawings:
            before = run.done
            run.go_on()
            if run.done == before:
                raise GenerationError("The pipeline ended before its last step.")

    def decode(self, drawings: Sequence[WholeRun]) -> torch.Tensor:
        """Let each run go on to its end; return the pictures, from 0 to 1."""
        return torch.cat([run.go_on().images for run in drawings])

    def _make_run(self, request: ImageRequest, seed: int) -> WholeRun:
        own = copy.copy(self.pipeline)  # shares every part, but is given a scheduler of its own
        own.scheduler = schedulers.make(own.scheduler, self._card.family, request.scheduler, request.steps)
        run = WholeRun(lambda: own(**_arguments(own, self._card, request, seed)), request, seed, own.scheduler)
        _hand_back_after_steps(own.scheduler, run)
        return run


def _hand_back_after_steps(scheduler: Any, run: WholeRun) -> None:
    """Have *scheduler* hand control back to the engine after each of its steps.

    Every pipeline calls it once per step, while ``callback_on_step_end`` is missing in some.
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


def _arguments(pipeline: Any, card: ModelCard, request: ImageRequest, seed: int) -> dict[str, Any]:
    """Return what this pipeline's call takes of the request."""
    wanted: dict[str, Any] = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
        "generator": generator(seed),
        "output_type": "pt",
    }
    if card.negative_prompt:
        wanted["negative_prompt"] = request.negative_prompt
    taken = _parameters(type(pipeline).__call__)
    return {name: value for name, value in wanted.items() if name in taken}


@functools.cache
def _parameters(call: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(call).parameters)
