"""Any diffusers text-to-image pipeline, run whole: one request at a time, its pictures one after the other."""

import copy
import functools
import inspect
import os
from collections.abc import Callable
from threading import BoundedSemaphore
from typing import Any

import numpy as np
import torch
from PIL import Image

from common.catalog import ModelCard, Offer
from common.errors import GenerationError, InvalidPictureError, ModelUnavailableError
from common.requests import ImageRequest
from common.settings import Settings
from worker.engine import loading, schedulers
from worker.engine.device import Device
from worker.engine.faults import Exit, translating
from worker.engine.port import Picture, Unwatched, Watch
from worker.engine.run import Run
from worker.engine.watchdog import Watchdog
from worker.meter import Meter

WARM_UP_STEPS = 2


class WholeEngine:
    """Prints with the stock pipelines; each picture has its own generator, so its company does not change it."""

    capacity = 1
    warm_lanes: frozenset[str] = frozenset()  # every model that was used stays, so no lane is warmer than another

    def __init__(self, settings: Settings, offer: Offer, meter: Meter, leave: Exit = os._exit) -> None:
        self._offer = offer
        self._meter = meter
        self._leave = leave
        self._device = Device(settings.device)
        self._watchdog = Watchdog(settings.step_timeout_seconds)
        self._turn = BoundedSemaphore(self.capacity)
        self._pipelines: dict[str, Any] = {}

    @property
    def accelerator(self) -> str:
        """Return what the accelerator is called."""
        return self._device.title

    def load(self) -> None:
        """Load the default model and print one small picture with it; the others are loaded when they are asked for."""
        card, _ = next(iter(self._offer.values()))
        with self._turn:
            self._pipeline(card.name)
            request = ImageRequest(
                prompt="",
                model=card.name,
                width=card.min_size,
                height=card.min_size,
                steps=WARM_UP_STEPS,
                guidance_scale=card.default_guidance_scale,
                seed=0,
            )
            self._print_all(request, Unwatched(), overhead="warm_up")

    def generate(self, request: ImageRequest, watch: Watch) -> list[Picture]:
        """Print one picture for each seed; raise GenerationError, or what *watch* raises at the end of a step."""
        with self._turn:
            return self._print_all(request, watch)

    def _pipeline(self, name: str) -> Any:
        """Return the pipeline of a model, loaded at its first use; its load is overhead, nobody's price."""
        if name not in self._pipelines:
            _, directory = self._offer.get(name, (None, None))
            if directory is None:
                raise ModelUnavailableError(f"This press does not offer the model {name}.")
            with self._meter.busy("load"), self._watchdog, translating(self._device, self._leave):
                self._pipelines[name] = loading.open_pipeline(directory, self._device)
                self._device.finish()
        return self._pipelines[name]

    def _print_all(self, request: ImageRequest, watch: Watch, overhead: str | None = None) -> list[Picture]:
        pipeline = self._pipeline(request.model)
        card, _ = self._offer[request.model]
        with (
            Run(request, watch, self._meter.account(overhead), self._watchdog) as run,
            translating(self._device, self._leave),
        ):
            return [self._print(pipeline, card, request, seed, run) for seed in request.seeds]

    def _print(self, pipeline: Any, card: ModelCard, request: ImageRequest, seed: int, run: Run) -> Picture:
        scheduler = schedulers.make(pipeline.scheduler, card.family, request.scheduler, request.steps)
        own = copy.copy(pipeline)  # shares every part, but may be given another scheduler and be listened to
        own.scheduler = scheduler
        _report_steps(scheduler, run, self._device)
        _report_encoding(own, run, self._device)
        outcome = own(**_arguments(own, card, request, seed))
        self._device.finish()
        pixels = _to_image(outcome.images[0])
        return Picture(pixels, seed, run.end_picture())


def _arguments(pipeline: Any, card: ModelCard, request: ImageRequest, seed: int) -> dict[str, Any]:
    """Return what this pipeline's call takes of the request."""
    wanted: dict[str, Any] = {
        "prompt": request.prompt,
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.steps,
        "guidance_scale": request.guidance_scale,
        # Drawn on the CPU, so that a seed means the same noise on every accelerator.
        "generator": torch.Generator("cpu").manual_seed(seed),
        "output_type": "np",
    }
    if card.negative_prompt:
        wanted["negative_prompt"] = request.negative_prompt
    taken = _parameters(type(pipeline).__call__)
    return {name: value for name, value in wanted.items() if name in taken}


@functools.cache
def _parameters(call: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(call).parameters)


def _report_steps(scheduler: Any, run: Run, device: Device) -> None:
    """Have *scheduler* end each of its steps in the run.

    Every pipeline calls it once per step, while ``callback_on_step_end`` is missing in some.
    """
    step: Callable[..., Any] = scheduler.step
    done = 0

    @functools.wraps(step)
    def report(*arguments: Any, **options: Any) -> Any:
        nonlocal done
        result = step(*arguments, **options)
        done += 1
        total = len(scheduler.timesteps)
        if done < total:
            device.keep_pace()
        else:
            device.finish()
            _expect_finite(result[0])
        run.end_step(done, total)
        return result

    scheduler.step = report


def _report_encoding(pipeline: Any, run: Run, device: Device) -> None:
    encode: Callable[..., Any] | None = getattr(pipeline, "encode_prompt", None)
    if encode is None:
        return

    @functools.wraps(encode)
    def report(*arguments: Any, **options: Any) -> Any:
        result = encode(*arguments, **options)
        device.finish()
        run.end_encoding()
        return result

    pipeline.encode_prompt = report


def _expect_finite(latents: Any) -> None:
    if not bool(torch.isfinite(latents).all()):
        raise InvalidPictureError("The model's numbers ran out of bounds, so there is no picture.")


def _to_image(numbers: Any) -> Image.Image:
    """Return the RGB picture of one array, rows of dots of three numbers, from 0 to 1."""
    array = np.asarray(numbers)
    if array.ndim != 3 or array.shape[2] != 3:  # noqa: PLR2004  (rows, columns, colours)
        raise GenerationError("The model's output is no RGB picture.")
    if not np.isfinite(array).all():
        raise InvalidPictureError("The decoder's numbers ran out of bounds, so there is no picture.")
    picture = Image.fromarray((array * 255).round().clip(0, 255).astype(np.uint8))
    if all(len(set(channel.getextrema())) == 1 for channel in picture.split()):
        raise InvalidPictureError("The model produced a picture of one colour.")
    return picture
