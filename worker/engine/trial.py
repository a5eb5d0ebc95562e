"""Trial of a model when a press starts, so that a model is offered only if it generates images here."""

from collections.abc import Callable
from contextlib import suppress

from PIL import Image

from common.db.ids import create_id
from common.errors import InterruptedAttemptError, ModelUnavailableError, PressroomError, WrongSizeError
from common.jobs.attempts import Spent
from common.jobs.request import ImageRequest, Mode
from common.models.catalog import ModelCard
from worker.engine.interface import NO_INPUTS, Inputs, NullObserver, StepObserver

Generate = Callable[[ImageRequest, StepObserver, Inputs], object]
"""Generates the images of a request; raises what a job would fail with."""

PROMPT = "a red apple on a wooden table"
FEWEST_STEPS = 2
"""Steps of the small image: enough to hand the latents from one step to the next."""


class FirstStep:
    """The watch that stops a run after its first step."""

    def step(self, number: int, spent: Spent) -> None:
        """Raise InterruptedAttemptError as soon as a step is done."""
        if number >= 1:
            raise InterruptedAttemptError


def try_model(card: ModelCard, generate: Generate) -> ModelCard:
    """Take one step with the defaults of *card*, then generate one image of its smallest size; raise what fails.

    Returns the card, which offers the default size only if the model delivers that size whatever it is asked for.
    """
    width, height = card.default_width, card.default_height
    few = min(FEWEST_STEPS, card.default_steps)
    with suppress(InterruptedAttemptError):
        _generate(card, generate, (width, height), card.default_steps, FirstStep())
    try:
        _generate(card, generate, (card.min_size, card.min_size), few, NullObserver())
    except WrongSizeError:
        _generate(card, generate, (width, height), few, NullObserver())
        return card.model_copy(update={"min_size": min(width, height), "max_size": max(width, height)})
    return card


def describe_failure(name: str, error: PressroomError) -> str:
    """Return why the trial of a model failed.

    The prompt of a trial is our own, so the pipeline's own words may be quoted.
    """
    if isinstance(error, ModelUnavailableError):
        return error.message
    words: list[str] = getattr(error, "__notes__", [])
    return f"The model {name} fails when it is tried: {words[0] if words else error.message}"


def _generate(card: ModelCard, generate: Generate, size: tuple[int, int], steps: int, watch: StepObserver) -> None:
    is_image_needed = card.modes == [Mode.IMAGE]
    width, height = size
    request = ImageRequest(
        prompt=PROMPT,
        model=card.name,
        width=width,
        height=height,
        steps=steps,
        guidance_scale=card.default_guidance_scale,
        seed=0,
        init_image=create_id() if is_image_needed else None,
    )
    inputs = Inputs(Image.linear_gradient("L").resize(size).convert("RGB")) if is_image_needed else NO_INPUTS
    generate(request, watch, inputs)
