"""How much of a prompt a model reads, counted with the starter model's own tokenizer."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import CLIPTokenizer

import worker.starter
from common.models.prompt_tokens import PromptTokens
from worker.engine.families.prompt_tokens import count_tokens

FOLDER = Path(worker.starter.__file__).parent / "starter-1" / "tokenizer"
READ = 38
"""The starter model's 40, without the marks of the beginning and the end."""


@pytest.fixture(scope="module")
def tokenizer() -> CLIPTokenizer:
    return CLIPTokenizer.from_pretrained(FOLDER)


def test_a_short_prompt_is_read_whole(tokenizer: CLIPTokenizer) -> None:
    counted = count_tokens(SimpleNamespace(tokenizer=tokenizer), "a fox on a blue background", {})
    assert 0 < counted.read <= READ
    assert counted.dropped == 0


def test_what_does_not_fit_is_counted_as_dropped(tokenizer: CLIPTokenizer) -> None:
    model = SimpleNamespace(tokenizer=tokenizer)
    each = count_tokens(model, "fox", {}).read
    assert count_tokens(model, "fox " * 100, {}) == PromptTokens(READ, 100 * each - READ)


def test_the_encoder_that_reads_most_counts(tokenizer: CLIPTokenizer) -> None:
    model = SimpleNamespace(tokenizer=tokenizer, tokenizer_2=tokenizer, tokenizer_3=None)
    assert count_tokens(model, "fox " * 100, {"tokenizer_2": 1000}).dropped == 0


def test_an_empty_prompt_has_no_tokens(tokenizer: CLIPTokenizer) -> None:
    assert count_tokens(SimpleNamespace(tokenizer=tokenizer), "", {}) == PromptTokens(0, 0)
