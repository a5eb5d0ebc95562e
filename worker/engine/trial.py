"""Trial of a model when a press starts, so that a model is offered only for what it generates here."""

from collections.abc import Callable, Iterator
from contextlib import suppress

from PIL import Image

from common.db.ids import create_id
from common.errors import (
    GenerationError,
    InterruptedAttemptError,
    ModelUnavailableError,
    OutOfMemoryError,
    PressroomError,
    UnforeseenError,
    WrongSizeError,
)
from common.jobs.attempts import Spent
from common.jobs.request import ImageRequest, Mode
from common.logs import get_logger
from common.models.catalog import ModelCard
from worker.engine.interface import Inputs, NullObserver, StepObserver

Generate = Callable[[ImageRequest, StepObserver, Inputs], object]
"""Generates the images of a request; raises what a job would fail with."""

PROMPT = "a red apple on a wooden table"
FEWEST_STEPS = 2
"""Steps of the small image: enough to hand the latents from one step to the next."""

LARGEST_MULTIPLE = 128
"""The coarsest grid of sizes that is looked for; no pipeline of diffusers has a coarser one."""

log = get_logger(__name__)


class FirstStep:
    """The watch that stops a run after its first step."""

    def step(self, number: int, spent: Spent) -> None:
        """Raise InterruptedAttemptError as soon as a step is done."""
        if number >= 1:
            raise InterruptedAttemptError


def try_model(card: ModelCard, generate: Generate) -> ModelCard:
    """Try a model as *card* describes it; return the card with the modes and sizes that work.

    Raises what the last mode fails with if none works.
    """
    if card.batching:  # our own families, whose modes and sizes are known
        return _try_mode(card, card.modes[0], generate)
    working: list[Mode] = []
    failure: GenerationError | None = None
    for mode in card.modes:
        try:
            tried = _try_mode(card, mode, generate)
        except GenerationError as error:
            if isinstance(error, OutOfMemoryError) and not working:
                raise
            failure = error
            log.info("mode_unavailable", model=card.name, mode=mode, reason=describe_failure(card.name, error))
            continue
        if not working:
            card = tried
        if tried == card:  # the first mode that works decides on the sizes
            working.append(mode)
    if failure is not None and not working:
        raise failure
    return card.model_copy(update={"modes": working})


def describe_failure(name: str, error: PressroomError) -> str:
    """Return why the trial of a model failed.

    The prompt of a trial is our own, so the pipeline's own words may be quoted.
    """
    if isinstance(error, ModelUnavailableError):
        return error.message
    words: list[str] = getattr(error, "__notes__", [])
    return f"The model {name} fails when it is tried: {words[0] if words else error.message}"


def _try_mode(card: ModelCard, mode: Mode, generate: Generate) -> ModelCard:
    """Take one step with the defaults of *card*, then generate one small image; raise what fails.

    Returns the card with a coarser grid of sizes if the model needs one, or with its default size only if it delivers
    no other.
    """
    default = (card.default_width, card.default_height)
    few = min(FEWEST_STEPS, card.default_steps)
    with suppress(InterruptedAttemptError):
        generate(*_build_request(card, mode, default, card.default_steps, FirstStep()))
    for sized in _coarsen_grid(card):
        side = _find_telling_side(sized)
        # A pipeline either delivers a size that suits it better, or raises an error of its own.
        with suppress(WrongSizeError, UnforeseenError):
            generate(*_build_request(card, mode, (side, side), few, NullObserver()))
            return sized
    generate(*_build_request(card, mode, default, few, NullObserver()))
    return card.model_copy(update={"fixed_size": True, "min_size": min(default), "max_size": max(default)})


def _coarsen_grid(card: ModelCard) -> Iterator[ModelCard]:
    """Return *card*, then with twice the ``size_multiple`` and so on, as long as its default size is on the grid."""
    multiple = card.size_multiple
    while not card.fixed_size:
        yield card.model_copy(update={"size_multiple": multiple})
        multiple *= 2
        if multiple > LARGEST_MULTIPLE or card.default_width % multiple or card.default_height % multiple:
            return


def _find_telling_side(card: ModelCard) -> int:
    """Return the smallest side that is on the grid of *card*, and not on one that is twice as coarse."""
    side = card.find_nearest_side(card.min_size)
    next_side = side + card.size_multiple
    return next_side if side // card.size_multiple % 2 == 0 and next_side <= card.max_size else side


def _build_request(
    card: ModelCard, mode: Mode, size: tuple[int, int], steps: int, watch: StepObserver
) -> tuple[ImageRequest, StepObserver, Inputs]:
    width, height = size
    picture = Image.linear_gradient("L").resize(size).convert("RGB") if mode is Mode.IMAGE else None
    request = ImageRequest(
        prompt=PROMPT,
        model=card.name,
        width=width,
        height=height,
        steps=steps,
        guidance_scale=card.default_guidance_scale,
        seed=0,
        init_image=create_id() if picture else None,
    )
    return request, watch, Inputs(picture)
