"""Folds text for matching: Unicode variants that look the same become equal."""

import re
import unicodedata
from functools import cache, lru_cache

from confusable_homoglyphs.confusables import confusables_data

from common.safety.text_normalization import normalize_text

WORD = re.compile(r"[^\W_]+")
INVISIBLE = frozenset({"Cf", "Mn", "Me", "Cc"})
"""Categories of Unicode that leave no mark of their own: zero width, variation selectors, accents, controls."""


def fold_text(text: str) -> str:
    """Return the words of *text*, one space between: forms (NFKC) and look-alikes made one, no case, no accents."""
    return " ".join(filter(None, map(_fold_word, text.split())))


@lru_cache(4096)  # the words of a campaign's template come again with every recipient
def _fold_word(text: str) -> str:
    compatible = normalize_text("NFKC", text)
    # Before the case is folded and after: some letters look like a Latin one in one case only.
    seen = "".join(map(_to_latin, _strip_invisible(compatible))).casefold()
    return " ".join(WORD.findall("".join(map(_to_latin, _strip_invisible(seen)))))


def _strip_invisible(text: str) -> str:
    decomposed = normalize_text("NFKD", text)
    spaced = (" " if character.isspace() else character for character in decomposed)
    return "".join(character for character in spaced if unicodedata.category(character) not in INVISIBLE)


@cache
def _to_latin(character: str) -> str:
    """Return the ASCII letter that *character* can be taken for (Unicode TR 39's confusables), else itself."""
    if character.isascii():
        return character
    alike = (entry["c"] for entry in confusables_data.get(character, ()))
    letter = next((other for other in alike if len(other) == 1 and other.isascii() and other.isalpha()), character)
    # The tables have l for every bare stroke; as a capital it stands for I.
    return "i" if letter == "l" and character.isupper() else letter
