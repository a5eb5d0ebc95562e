"""Turns the headings of a file into the names of its columns: one line each, none empty, none twice."""

from collections.abc import Sequence

from common.campaigns.placeholders import spell_placeholder
from common.campaigns.recipients.formats.rows import InvalidFileError
from common.safety.text_normalization import normalize_text

MOST_COLUMNS = 200
LONGEST_COLUMN = 128


class ColumnNames:
    """The names of a file's columns, in the order in which they were added."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._taken: set[str] = set()
        """The names by which templates refer to them."""

    def add(self, headings: Sequence[str]) -> None:
        """Name the next columns after their *headings*; raise InvalidFileError if there are too many.

        White space and line breaks become single spaces, what cannot be seen is left out, and a long heading is cut
        off. A column without a heading is named after its place, ``Column 3``, and a heading that is there already gets
        a number, ``Phone 2``. A heading that templates can write as it is keeps its name before others that are written
        in the same way.
        """
        count = len(self.names) + len(headings)
        if count > MOST_COLUMNS:
            raise InvalidFileError(f"The file has {count} columns; it must not have more than {MOST_COLUMNS}.")
        named = [_clean_heading(heading) for heading in headings]
        named = [name or f"Column {place}" for place, name in enumerate(named, len(self.names) + 1)]
        for place in sorted(range(len(named)), key=lambda place: spell_placeholder(named[place]) != named[place]):
            named[place] = self._make_unique(named[place])
            self._taken.add(spell_placeholder(named[place]))
        self.names += named

    def _make_unique(self, name: str) -> str:
        numbered, number = name, 1
        while spell_placeholder(numbered) in self._taken:
            number += 1
            end = f" {number}"
            numbered = name[: LONGEST_COLUMN - len(end)] + end
        return numbered


def name_columns(cells: Sequence[str]) -> list[str]:
    """Return the names of the columns under a row of headings; raise InvalidFileError."""
    last = max((place for place, cell in enumerate(cells, 1) if cell.strip()), default=0)
    if not last:
        raise InvalidFileError("The file has no header; its first row must contain the column names.")
    columns = ColumnNames()
    columns.add(cells[:last])
    return columns.names


def _clean_heading(heading: str) -> str:
    """Return a heading on one line, without control characters and marks that nobody sees."""
    visible = "".join(sign if sign.isprintable() else "" for sign in " ".join(heading.split()))
    return normalize_text("NFC", visible)[:LONGEST_COLUMN].strip()
