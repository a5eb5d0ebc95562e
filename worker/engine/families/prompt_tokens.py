"""Counts how much of a prompt a model's text encoders read: each takes a fixed number of tokens and drops the rest."""

from collections.abc import Iterator, Mapping
from typing import Any

from worker.engine.interface import PromptTokens

TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
"""The parts of a diffusers pipeline that turn a prompt into tokens, one for each of its text encoders."""


def count_tokens(pipeline: Any, prompt: str, limits: Mapping[str, int]) -> PromptTokens:
    """Return what is read of *prompt* by the encoder that drops the least of it.

    *limits* are the numbers of tokens that the pipeline passes to an encoder, where these are not the tokenizer's own.
    Marks of the beginning and the end are not counted.
    """
    counts = list(_iterate_counts(pipeline, prompt, limits))
    return min(counts, key=lambda count: (count.dropped, -count.read))


def _iterate_counts(pipeline: Any, prompt: str, limits: Mapping[str, int]) -> Iterator[PromptTokens]:
    for name in TOKENIZERS:
        tokenizer = getattr(pipeline, name, None)
        if tokenizer is None:
            continue
        count = len(tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids)
        most = limits.get(name, tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
        yield PromptTokens(min(count, most), max(0, count - most))
