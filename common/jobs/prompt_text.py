"""Normalizes prompt text before it is stored."""

import re

from common.safety.text_normalization import normalize_text

LONGEST_PROMPT = 2000

INVISIBLE = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff"
)
"""Characters that leave no ink: spaces, controls, zero-width characters, variation selectors and fillers."""

_VISIBLE = re.compile(f"[^{INVISIBLE}]")
_BREAK = re.compile(r"[\t\n\v\f\r\x85\u2028\u2029]+")
# Joiners stay: emoji sequences, Persian and several Indic scripts are spelled with them.
_STRIPPED = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")


def is_blank(text: str) -> bool:
    """Return whether there is nothing to see in *text*."""
    return _VISIBLE.search(text) is None


def clean_text(text: str) -> str:
    """Return *text* in normal form C, on one line, without control characters and direction overrides."""
    if text.isascii() and text.isprintable():
        return text.strip()  # most texts, at a tenth of the time
    return _STRIPPED.sub("", normalize_text("NFC", _BREAK.sub(" ", text))).strip()
