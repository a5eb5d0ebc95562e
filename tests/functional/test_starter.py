"""The embedded defaults as they come: the starter model on the CPU, and the real checker."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image

from tests.functional.backends import Embedded
from tests.functional.stack import Stack, running

SLOW = 300
"""Seconds: torch is imported, and a model loaded and warmed up, before anything is printed."""

pytestmark = pytest.mark.timeout(SLOW)
PROMPT = "a penguin on a yellow background"


@pytest.fixture(scope="module")
def running_stack() -> Iterator[Stack]:
    with running(Embedded(), settings={"PRESSROOM_LOG_FORMAT": "json"}, patience_seconds=SLOW) as started:
        yield started


def _pixels(stack: Stack, seed: int) -> bytes:
    client = stack.client()
    body = {"prompt": PROMPT, "seed": seed}
    job = client.post("/v1/jobs", status=200, headers={"Prefer": "wait=60"}, **body)
    client.accepted.append(job["id"])
    assert job["status"] == "succeeded", job["error"]
    (image,) = job["images"]
    assert image["safety"]["policy"]["checker"] == "open_nsfw"
    assert image["safety"]["verdict"] == "pass"
    with Image.open(io.BytesIO(client.stranger.get(image["url"]).content)) as picture:
        assert picture.size == (128, 128)
        return picture.convert("RGB").tobytes()


def test_one_seed_gives_one_image_and_another_seed_another_image(stack: Stack) -> None:
    first = _pixels(stack, seed=1)
    assert _pixels(stack, seed=1) == first
    assert _pixels(stack, seed=2) != first
    assert PROMPT not in stack.log.read_text()


def test_a_long_prompt_is_counted_at_its_submission_as_the_press_counts_it(stack: Stack) -> None:
    client = stack.client()
    submitted = client.post("/v1/jobs", status=202, prompt=f"{PROMPT}, " * 20, seed=1)
    client.accepted.append(submitted["id"])
    (image,) = client.wait(submitted["id"])["images"]
    assert image["prompt_tokens"]["dropped"] > 0
    assert submitted["prompt_tokens"] == image["prompt_tokens"]
