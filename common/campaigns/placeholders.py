"""Names the columns of a list as templates name them: ``First Name`` is ``{{ first_name }}``."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from common.safety.text_normalization import normalize_text

_PLAIN = re.compile(r"[^\W\d][\w-]*")
_RESERVED = frozenset(
    {
        *("and", "as", "blank", "cols", "contains", "continue", "else", "empty", "false", "for", "if", "in", "limit"),
        *("nil", "not", "null", "offset", "or", "required", "reversed", "true", "with"),
    }
)
"""Words of Liquid, which no variable can be called."""


@lru_cache(4096)
def spell_placeholder(column: str) -> str:
    """Return the name by which templates refer to *column*.

    A name that Liquid can read stays as it is, capitals included. Any other becomes lower case, with an underscore for
    each run of spaces, dots and other marks: ``First Name`` and ``contact.name`` are ``first_name`` and
    ``contact_name``. The result stays as it is if it is spelled again.
    """
    if _PLAIN.fullmatch(column) and column not in _RESERVED:
        return column
    letters = [sign if sign.isalnum() else " " for sign in normalize_text("NFKC", column).lower()]
    name = "_".join("".join(letters).split())
    if not _PLAIN.fullmatch(name):
        return f"column_{name}" if name else "column"
    return f"{name}_" if name in _RESERVED else name


def spell_values(values: Mapping[str, str]) -> dict[str, str]:
    """Return *values*, given by column, by the names that templates use.

    Where two columns have the same name, it means the one whose heading it is.
    """
    spelled = {spell_placeholder(column): value for column, value in values.items()}
    return spelled | {column: value for column, value in values.items() if column in spelled}


def find_column(name: str, columns: Iterable[str]) -> str | None:
    """Return the column that *name* means, spelled as the heading or else as in templates; None if there is none."""
    columns = list(columns)
    if name in columns:
        return name
    wanted = spell_placeholder(name)
    return next((column for column in columns if spell_placeholder(column) == wanted), None)
