"""A file of recipients as rows of texts, whatever its format: what its readers share, and how much they take."""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from common.errors import PressroomError

MOST_COLUMNS = 200
LONGEST_COLUMN = 128
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


class Sheet(Protocol):
    """A file that is being read; iterating raises InvalidFileError where it makes no sense."""

    columns: list[str]
    """In the file's order; JSON may add to them while it is read."""
    is_open: bool
    """Whether columns may still be added."""

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are not empty."""
        ...


def read_columns(cells: list[str]) -> list[str]:
    """Return the columns that a header names; raise InvalidFileError."""
    columns = [cell.strip() for cell in cells]
    while columns and not columns[-1]:
        columns.pop()
    if not columns:
        raise InvalidFileError("The file has no header; its first row must contain the column names.")
    if len(columns) > MOST_COLUMNS:
        raise InvalidFileError(f"The file has {len(columns)} columns; it must not have more than {MOST_COLUMNS}.")
    for place, name in enumerate(columns, 1):
        check_column_name(name, f"Column {place}")
        if name in columns[: place - 1]:
            raise InvalidFileError(f"Two columns have the name {name!r}; column names must be unique.")
    return columns


def check_column_name(name: str, place: str) -> None:
    """Raise InvalidFileError for what no column can be called."""
    if not name:
        raise InvalidFileError(f"{place} must have a name.")
    if len(name) > LONGEST_COLUMN or not name.isprintable():
        raise InvalidFileError(f"{place} must have a name of at most {LONGEST_COLUMN} characters on one line.")


def fit_row(number: int, cells: list[str], columns: list[str]) -> Row | None:
    """Return a row of as many cells as there are columns, one with a fault if it has others, or None if it is empty."""
    if not any(cells):
        return None
    count = len(columns)
    while len(cells) > count and not cells[-1]:
        cells.pop()
    if len(cells) == count:
        return Row(number, cells)
    fault = ("ragged_row", f"The row has {len(cells)} cells; the header has {count} columns.")
    return Row(number, (cells + [""] * count)[:count], fault)
