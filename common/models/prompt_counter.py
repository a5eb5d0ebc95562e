"""Counts how much of a prompt a model will read, before a press has seen it."""

from collections.abc import Sequence
from operator import attrgetter
from threading import Lock
from typing import NamedTuple

from cachetools import LRUCache, TTLCache, cachedmethod
from tokenizers import Tokenizer

from common.db.engine import Database
from common.logs import get_logger
from common.models import text_encoders
from common.models.prompt_tokens import PromptTokens, choose_longest_reading, split_count
from common.models.text_encoders import EncoderLimit

MOST_TOKENIZERS = 8
"""In memory at a time: each takes some ten megabytes."""

MOST_MODELS = 256
FRESH_SECONDS = 1.0
"""How long it may take until the encoders of a model that was registered again are heeded."""

log = get_logger(__name__)


class ReadPrompt(NamedTuple):
    """What a model reads of a prompt."""

    tokens: PromptTokens
    ids: tuple[tuple[int, ...], ...]
    """The tokens that each text encoder reads: where two prompts have the same, the model cannot tell them apart."""


class PromptCounter:
    """Counts with the tokenizers that presses have registered in *database*; any thread may call it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._encoders: TTLCache[str, list[EncoderLimit]] = TTLCache(MOST_MODELS, FRESH_SECONDS)
        self._tokenizers: LRUCache[str, Tokenizer | None] = LRUCache(MOST_TOKENIZERS)
        self._lock = Lock()

    def count(self, model: str, prompt: str) -> PromptTokens | None:
        """Return how much of a prompt *model* reads, as a press counts it; None if that cannot be told."""
        read = self.read(model, [prompt])
        return None if read is None else read[0].tokens

    def read(self, model: str, prompts: Sequence[str]) -> list[ReadPrompt] | None:
        """Return what *model* reads of each of *prompts*; None if that cannot be told. Never raises an error.

        A thousand prompts of some words take a tenth of a second, in which other threads go on.
        """
        try:
            return self._read(model, prompts)
        except Exception as error:  # noqa: BLE001  (tokenizers raise nothing narrower, and this is a courtesy only)
            log.warning("prompt_not_counted", model=model, reason=type(error).__name__)
            return None

    def _read(self, model: str, prompts: Sequence[str]) -> list[ReadPrompt] | None:
        encoders = self._load_encoders(model)
        loaded = [(self._load_tokenizer(encoder.digest), encoder.limit) for encoder in encoders]
        tokenizers = [(tokenizer, limit) for tokenizer, limit in loaded if tokenizer is not None]
        if not encoders or len(tokenizers) < len(encoders):
            return None
        # The library lets other threads run while it reads a batch, but not while it reads a single text.
        batches = [tokenizer.encode_batch_fast([*prompts], add_special_tokens=False) for tokenizer, _ in tokenizers]
        limits = [limit for _, limit in tokenizers]
        return [_summarise_reading([each.ids for each in encoded], limits) for encoded in zip(*batches, strict=True)]

    @cachedmethod(attrgetter("_encoders"), lock=attrgetter("_lock"))
    def _load_encoders(self, model: str) -> list[EncoderLimit]:
        with self._database.glancing() as session:
            return text_encoders.load_encoders(session, model)

    @cachedmethod(attrgetter("_tokenizers"), lock=attrgetter("_lock"))
    def _load_tokenizer(self, digest: str) -> Tokenizer | None:
        """Return a tokenizer, or None if this version of the library cannot read it, which is logged once."""
        with self._database.glancing() as session:
            content = text_encoders.load_tokenizer(session, digest)
        try:
            return Tokenizer.from_str(content)
        except Exception as error:  # noqa: BLE001  (the library raises nothing narrower)
            log.warning("tokenizer_unreadable", digest=digest, reason=str(error))
            return None


def _summarise_reading(ids: Sequence[Sequence[int]], limits: Sequence[int]) -> ReadPrompt:
    counts = [split_count(len(each), limit) for each, limit in zip(ids, limits, strict=True)]
    read = tuple(tuple(each[: count.read]) for each, count in zip(ids, counts, strict=True))
    return ReadPrompt(choose_longest_reading(counts), read)
