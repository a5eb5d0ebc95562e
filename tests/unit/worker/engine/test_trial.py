import pytest

from common.errors import (
    GenerationError,
    InterruptedAttemptError,
    ModelUnavailableError,
    OutOfMemoryError,
    UnforeseenError,
    WrongSizeError,
)
from common.jobs.request import Mode
from tests.support.engine.engine_fixture import card
from worker.engine import trial

CARD = card(default_width=128, default_height=64, default_steps=4, min_size=32, batching=False)


class Generator:
    """Records the requests, stops where the watch wants it, and delivers only what suits it."""

    def __init__(self, delivers=lambda width, height: True, error=WrongSizeError, needs=None):
        self.delivers = delivers
        self.error = error
        self.needs = needs or set(Mode)
        self.asked = []

    def __call__(self, request, watch, inputs):
        size = (request.width, request.height)
        self.asked.append((*size, request.steps, request.mode))
        assert (inputs.init_image is not None) == (request.mode is Mode.IMAGE)
        if request.mode not in self.needs:
            raise UnforeseenError
        for number in range(1, request.steps + 1):
            watch.step(number, None)
        if not self.delivers(*size):
            raise self.error


def deliver_multiples(multiple):
    return lambda *sides: not any(side % multiple for side in sides)


def find_sides(tried):
    """Return the sides that requests may ask for."""
    every = range(tried.min_size, tried.max_size + 1)
    return [side for side in every if side % tried.size_multiple == 0 and not tried.fixed_size]


def test_a_trial_takes_one_step_with_the_defaults_and_generates_a_small_image():
    generator = Generator()
    assert trial.try_model(CARD, generator) == CARD
    assert generator.asked == [(128, 64, 4, Mode.TEXT), (40, 40, 2, Mode.TEXT)]


@pytest.mark.parametrize(
    ("least", "most", "multiple", "side"),
    [(100, 256, 16, 112), (256, 2048, 32, 288), (512, 2048, 8, 520), (128, 128, 16, 128), (64, 100, 64, 64)],
)
def test_the_small_image_has_a_size_that_requests_may_have_and_a_coarser_grid_would_not(least, most, multiple, side):
    generator = Generator()
    trial.try_model(CARD.model_copy(update={"min_size": least, "max_size": most, "size_multiple": multiple}), generator)
    assert generator.asked[-1][:2] == (side, side)


@pytest.mark.parametrize("error", [WrongSizeError, UnforeseenError])
@pytest.mark.parametrize("multiple", [8, 16, 32, 64])
def test_a_model_with_a_coarser_grid_of_sizes_is_offered_on_that(multiple, error):
    tried = trial.try_model(CARD, Generator(deliver_multiples(multiple), error))
    assert find_sides(tried) == [side for side in range(32, 513) if side % multiple == 0]


def test_a_model_that_delivers_one_size_whatever_it_is_asked_for_is_offered_in_that_size_only():
    generator = Generator(lambda *size: size == (128, 64))
    tried = trial.try_model(CARD, generator)
    assert tried.fixed_size
    assert (tried.default_width, tried.default_height, tried.min_size, tried.max_size) == (128, 64, 64, 128)
    generator.asked.clear()
    assert trial.try_model(tried, generator) == tried
    assert {asked[:2] for asked in generator.asked} == {(128, 64)}


def test_a_model_that_does_not_even_deliver_its_default_size_is_broken():
    with pytest.raises(WrongSizeError):
        trial.try_model(CARD, Generator(lambda *size: False))


@pytest.mark.parametrize("works", [[Mode.TEXT], [Mode.IMAGE], [Mode.TEXT, Mode.IMAGE]])
def test_a_model_that_may_take_a_picture_is_offered_for_what_works(works):
    both = CARD.model_copy(update={"modes": [Mode.TEXT, Mode.IMAGE]})
    assert trial.try_model(both, Generator(needs=set(works))).modes == works


def test_a_model_for_which_nothing_works_is_broken():
    with pytest.raises(UnforeseenError):
        trial.try_model(CARD, Generator(needs={Mode.INPAINT}))


def test_a_model_that_delivers_other_sizes_from_a_picture_is_offered_for_texts():
    class Picky(Generator):
        def __call__(self, request, watch, inputs):
            self.delivers = deliver_multiples(64 if request.mode is Mode.IMAGE else 16)
            super().__call__(request, watch, inputs)

    tried = trial.try_model(CARD.model_copy(update={"modes": [Mode.TEXT, Mode.IMAGE]}), Picky())
    assert (tried.modes, tried.size_multiple) == ([Mode.TEXT], 16)


def test_a_shortage_of_memory_is_not_taken_for_a_mode_that_does_not_work():
    class Short(Generator):
        def __call__(self, request, watch, inputs):
            if request.mode is Mode.TEXT:
                raise OutOfMemoryError

    with pytest.raises(OutOfMemoryError):
        trial.try_model(CARD.model_copy(update={"modes": [Mode.TEXT, Mode.IMAGE]}), Short())


def test_a_model_that_batches_is_tried_in_one_mode_and_keeps_all():
    batching = CARD.model_copy(update={"batching": True, "modes": [Mode.TEXT, Mode.IMAGE]})
    generator = Generator()
    assert trial.try_model(batching, generator) == batching
    assert {asked[-1] for asked in generator.asked} == {Mode.TEXT}


def test_the_first_step_is_the_last():
    watch = trial.FirstStep()
    watch.step(0, None)
    with pytest.raises(InterruptedAttemptError):
        watch.step(1, None)


def test_a_failure_is_told_in_the_words_of_the_pipeline_where_there_are_any():
    missing = ModelUnavailableError("The model ink lacks the folder vae.")
    assert trial.describe_failure("ink", missing) == missing.message
    error = GenerationError("It failed.")
    assert trial.describe_failure("ink", error) == "The model ink fails when it is tried: It failed."
    error.add_note("RuntimeError: shapes differ")
    assert trial.describe_failure("ink", error) == "The model ink fails when it is tried: RuntimeError: shapes differ"
