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

    def add(self, heading: str) -> str:
        """Name the next column after its *heading*; raise InvalidFileError.

        White space and line breaks become single spaces. A column without a heading is named after its place, ``Column
        3``, and a heading that is there already gets a number, ``Phone 2``.
        """
        place = len(self.names) + 1
        if place > MOST_COLUMNS:
            raise InvalidFileError(f"The file must not have more than {MOST_COLUMNS} columns; remove some.")
        name = self._make_unique(_clean_heading(heading) or f"Column {place}")
        if len(name) > LONGEST_COLUMN:
            detail = f"The heading of column {place}, {name[:40]!r}…, must not exceed {LONGEST_COLUMN} characters."
            raise InvalidFileError(f"{detail} Shorten it.")
        if not name.isprintable():
            detail = f"The heading of column {place}, {name!r}, contains a control character."
            raise InvalidFileError(f"{detail} Type the heading again.")
        self.names.append(name)
        self._taken.add(spell_placeholder(name))
        return name

    def _make_unique(self, name: str) -> str:
        numbered, number = name, 1
        while spell_placeholder(numbered) in self._taken:
            number += 1
            numbered = f"{name} {number}"
        return numbered


def name_columns(cells: Sequence[str]) -> list[str]:
    """Return the names of the columns under a row of headings; raise InvalidFileError."""
    last = max((place for place, cell in enumerate(cells, 1) if cell.strip()), default=0)
    if not last:
        raise InvalidFileError("The file has no header; its first row must contain the column names.")
    if last > MOST_COLUMNS:
        raise InvalidFileError(f"The file has {last} columns; it must not have more than {MOST_COLUMNS}.")
    columns = ColumnNames()
    for heading in cells[:last]:
        columns.add(heading)
    return columns.names


def _clean_heading(heading: str) -> str:
    return normalize_text("NFC", " ".join(heading.split()))
