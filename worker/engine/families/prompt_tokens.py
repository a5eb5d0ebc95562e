"""Counts how much of a prompt a model's text encoders read: each takes a fixed number of tokens and drops the rest."""

from collections.abc import Iterator, Mapping
from typing import Any

from tokenizers import Tokenizer

from common.logs import get_logger
from common.models.prompt_tokens import PromptTokens, choose_longest_reading, split_count
from common.models.text_encoders import TextEncoder

TOKENIZERS = ("tokenizer", "tokenizer_2", "tokenizer_3")
"""The parts of a diffusers pipeline that turn a prompt into tokens, one for each of its text encoders."""

log = get_logger(__name__)


def count_tokens(pipeline: Any, prompt: str, limits: Mapping[str, int]) -> PromptTokens:
    """Return what is read of *prompt* by the encoder that drops the least of it.

    *limits* are the numbers of tokens that the pipeline passes to an encoder, where these are not the tokenizer's own.
    Marks of the beginning and the end are not counted.
    """
    return choose_longest_reading(
        split_count(len(tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids), limit)
        for tokenizer, limit in _iterate_tokenizers(pipeline, limits)
    )


def list_encoders(pipeline: Any, limits: Mapping[str, int]) -> list[TextEncoder]:
    """Return the text encoders of *pipeline* with which others can count as ``count_tokens`` does.

    Returns none if one of its tokenizers has no form that the library ``tokenizers`` reads.
    """
    encoders = []
    for tokenizer, limit in _iterate_tokenizers(pipeline, limits):
        backend = getattr(tokenizer, "backend_tokenizer", None)
        # Whether special tokens are split is a state of the object that its JSON leaves out.
        if not isinstance(backend, Tokenizer) or tokenizer.split_special_tokens:
            return []
        try:
            encoders.append(TextEncoder.of(_format_tokenizer(backend), limit))
        except Exception as error:  # noqa: BLE001  (the library raises nothing narrower, where a part is not its own)
            log.warning("tokenizer_not_registered", reason=str(error))
            return []
    return encoders


def _format_tokenizer(backend: Tokenizer) -> str:
    """Return the JSON of a tokenizer as it reads a whole text, whatever it was used for last."""
    copied = Tokenizer.from_str(backend.to_str())
    copied.no_padding()
    copied.no_truncation()
    return copied.to_str()


def _iterate_tokenizers(pipeline: Any, limits: Mapping[str, int]) -> Iterator[tuple[Any, int]]:
    """Yield each tokenizer with the number of tokens of a prompt that its encoder reads."""
    for name in TOKENIZERS:
        tokenizer = getattr(pipeline, name, None)
        if tokenizer is not None:
            yield tokenizer, limits.get(name, tokenizer.model_max_length) - tokenizer.num_special_tokens_to_add()
