"""The rule by which the tokens of a prompt that a model reads are counted, for presses and for the api alike."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class PromptTokens:
    """How many tokens of a prompt a model reads, and how many are cut off at its end."""

    read: int
    dropped: int


def split_count(count: int, limit: int) -> PromptTokens:
    """Return what a text encoder that reads *limit* tokens does with a prompt of *count* tokens."""
    return PromptTokens(min(count, limit), max(0, count - limit))


def choose_longest_reading(counts: Iterable[PromptTokens]) -> PromptTokens:
    """Return what the text encoder that drops the least does, of all encoders of a model."""
    return min(counts, key=lambda count: (count.dropped, -count.read))
