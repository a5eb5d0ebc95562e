"""A file of recipients as rows of texts, whatever its format: what its readers share, and how much they take."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from common.campaigns.recipients.formats.reading import Reading
from common.errors import PressroomError

LONGEST_ROW = 1_000_000
"""Characters of a row, quotes and all; no reader holds more than that and its buffer."""

ERROR_COLUMNS = ("error_row", "error_code", "error_column", "error_detail")
"""What the errors file adds to the uploaded columns; ignored when it is uploaded again."""


class InvalidFileError(PressroomError):
    """The file of recipients cannot be read."""

    code = "invalid_file"


class Row(NamedTuple):
    """One row: its number (the first row of values is 1), its cells by the file's columns, or what is wrong with it."""

    number: int
    cells: list[str]
    fault: tuple[str, str] | None = None  # code and detail
    nested: tuple[str, ...] = ()  # columns that hold a list or an object instead of a text


class Sheet(Protocol):
    """A file that is being read; iterating raises InvalidFileError where it makes no sense."""

    columns: list[str]
    """In the file's order; JSON may add to them while it is read."""
    is_open: bool
    """Whether columns may still be added."""
    reading: Reading

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are not empty."""
        ...


def fit_row(number: int, cells: list[str], columns: list[str]) -> Row | None:
    """Return a row of as many cells as there are columns, one with a fault if it has others, or None if it is empty."""
    if not any(map(str.strip, cells)):
        return None
    count = len(columns)
    while len(cells) > count and not cells[-1].strip():
        cells.pop()
    if len(cells) == count:
        return Row(number, cells)
    fault = ("ragged_row", f"The row has {len(cells)} cells; the header has {count} columns.")
    return Row(number, (cells + [""] * count)[:count], fault)
