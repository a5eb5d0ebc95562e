"""The tokenizers of the models' text encoders, kept in the database so that prompts can be counted without torch."""

import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from common.db import dialects
from common.tables import Model, Tokenizer


class EncoderLimit(NamedTuple):
    """A text encoder as the api knows it: the digest of its tokenizer, and the tokens of a prompt that it reads."""

    digest: str
    limit: int
    """Marks of the beginning and the end are not counted."""


class TextEncoder(NamedTuple):
    """A text encoder as a press registers it."""

    digest: str  # SHA-256 of the tokenizer's JSON
    content: bytes  # that JSON, compressed by zlib
    limit: int

    @classmethod
    def of(cls, tokenizer: str, limit: int) -> Self:
        """Return the encoder with that *tokenizer*, the JSON of the library ``tokenizers``."""
        plain = tokenizer.encode()
        return cls(hashlib.sha256(plain).hexdigest(), zlib.compress(plain), limit)


def register_encoders(session: Session, encoders: Mapping[str, Sequence[TextEncoder]]) -> None:
    """Enter the text encoders of models, by name, that are registered; each tokenizer is written once."""
    tokenizers = {encoder.digest: encoder for each in encoders.values() for encoder in each}
    known = session.scalars(select(Tokenizer.digest).where(Tokenizer.digest.in_(tokenizers))).all()
    insert = dialects.choose_insert(session)(Tokenizer)
    for digest in sorted(tokenizers.keys() - known):
        session.execute(insert.values(digest=digest, content=tokenizers[digest].content).on_conflict_do_nothing())
    for name, each in encoders.items():
        found = [EncoderLimit(encoder.digest, encoder.limit)._asdict() for encoder in each]
        session.get_one(Model, name).text_encoders = found
    session.flush()


def load_encoders(session: Session, model: str) -> list[EncoderLimit]:
    """Return the text encoders of a model; none if they are not known."""
    found = session.scalar(select(Model.text_encoders).where(Model.name == model))
    return [EncoderLimit(each["digest"], each["limit"]) for each in found or []]


def load_tokenizer(session: Session, digest: str) -> str:
    """Return the JSON of a tokenizer that a press has registered."""
    content = session.scalars(select(Tokenizer.content).where(Tokenizer.digest == digest)).one()
    return zlib.decompress(content).decode()
