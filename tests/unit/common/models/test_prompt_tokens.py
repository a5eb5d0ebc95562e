"""The rule of what a model reads of a prompt, and the form in which its tokenizers are registered."""

import hashlib
import zlib

from common.models.prompt_tokens import PromptTokens, choose_longest_reading, split_count
from common.models.text_encoders import TextEncoder


def test_what_is_beyond_the_limit_is_dropped() -> None:
    assert split_count(5, 5) == PromptTokens(5, 0)
    assert split_count(7, 5) == PromptTokens(5, 2)
    assert split_count(0, 5) == PromptTokens(0, 0)


def test_the_encoder_that_drops_the_least_counts_and_of_those_the_one_that_reads_most() -> None:
    assert choose_longest_reading([PromptTokens(5, 4), PromptTokens(8, 1)]) == PromptTokens(8, 1)
    assert choose_longest_reading([PromptTokens(5, 0), PromptTokens(6, 0)]) == PromptTokens(6, 0)


def test_an_encoder_is_registered_under_the_digest_of_its_tokenizer() -> None:
    encoder = TextEncoder.of('{"é": 1}', 75)
    assert encoder.digest == hashlib.sha256('{"é": 1}'.encode()).hexdigest()
    assert zlib.decompress(encoder.content).decode() == '{"é": 1}'
    assert encoder.limit == 75
