"""Unicode normalization (UAX #15) in time in proportion to the text, whatever marks are stacked in it."""

import unicodedata
from functools import lru_cache
from typing import Literal

LONGEST_STACK = 30
"""Combining marks on one character, as in UAX #15's stream-safe format: no language needs more.

Python sorts the marks of a character by their class in time in the square of their number.
"""


def normalize_text(form: Literal["NFC", "NFKC", "NFKD"], text: str) -> str:
    """Return *text* in a normal form; marks beyond the first 30 on a character are left out."""
    return unicodedata.normalize(form, text if text.isascii() else _limit_marks(text))


def _limit_marks(text: str) -> str:
    kept, marks = list[str](), 0
    for character in text:
        marks = marks + 1 if _is_mark(character) else 0
        if marks <= LONGEST_STACK:
            kept.append(character)
    return "".join(kept)


@lru_cache(4096)
def _is_mark(character: str) -> bool:
    # Some that are none decompose into marks, such as U+0F73.
    return unicodedata.combining(unicodedata.normalize("NFKD", character)[0]) != 0
