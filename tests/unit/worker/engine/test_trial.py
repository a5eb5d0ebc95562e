import pytest

from common.errors import GenerationError, InterruptedAttemptError, ModelUnavailableError, WrongSizeError
from common.jobs.request import Mode
from tests.support.engine.engine_fixture import card
from worker.engine import trial

CARD = card(default_width=128, default_height=64, default_steps=4, min_size=32)


class Generator:
    """Records the requests, stops where the watch wants it, and delivers the sizes of a list only."""

    def __init__(self, *sizes):
        self.sizes = sizes
        self.asked = []

    def __call__(self, request, watch, inputs):
        size = (request.width, request.height)
        self.asked.append((*size, request.steps, request.mode))
        assert (inputs.init_image is not None) == (request.mode is Mode.IMAGE)
        for number in range(1, request.steps + 1):
            watch.step(number, None)
        if self.sizes and size not in self.sizes:
            raise WrongSizeError


def test_a_trial_takes_one_step_with_the_defaults_and_generates_a_small_image():
    generator = Generator()
    assert trial.try_model(CARD, generator) == CARD
    assert generator.asked == [(128, 64, 4, Mode.TEXT), (32, 32, 2, Mode.TEXT)]


def test_a_model_that_needs_a_picture_is_tried_with_one():
    generator = Generator()
    trial.try_model(CARD.model_copy(update={"modes": [Mode.IMAGE]}), generator)
    assert [mode for *_, mode in generator.asked] == [Mode.IMAGE, Mode.IMAGE]


def test_a_model_that_delivers_one_size_whatever_it_is_asked_for_is_offered_in_that_size_only():
    tried = trial.try_model(CARD, Generator((128, 64)))
    assert (tried.min_size, tried.max_size) == (64, 128)


def test_a_model_that_does_not_even_deliver_its_default_size_is_broken():
    with pytest.raises(WrongSizeError):
        trial.try_model(CARD, Generator((1, 1)))


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
