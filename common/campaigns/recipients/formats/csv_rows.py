"""Recipients from CSV as spreadsheets write it: commas, semicolons or tabs, any ends of lines, with or without BOM."""

import csv
import itertools
import re
from collections.abc import Iterator
from string import whitespace
from typing import IO

from common.campaigns.recipients.formats.headings import name_columns
from common.campaigns.recipients.formats.rows import InvalidFileError, Row, fit_row
from common.campaigns.recipients.formats.text_lines import TextLines

MOST_HEADER_LINES = 50
DELIMITERS = "\t;|,"
"""In the order in which they are tried; what occurs in texts most often comes last."""
_BLANK = whitespace + DELIMITERS + '"'
_HINT = re.compile(r"sep=(.)\n?")  # a first line by which Excel tells itself


class CsvSheet:
    """A CSV file (RFC 4180) with a header."""

    is_open = False

    def __init__(self, file: IO[bytes], encoding: str | None = None) -> None:
        self._lines = TextLines(file, encoding)
        self.reading = self._lines.reading
        lines = iter(self._lines)
        first, delimiter = _skip_blank_lines(lines), ""
        if hint := _HINT.fullmatch(first):
            first, delimiter = _skip_blank_lines(lines), hint[1]
        self.reading.header_row = max(1, self._lines.number)
        header = _complete_row(first, lines)
        self.reading.separator = delimiter or _find_delimiter("".join(header))
        self._rows = csv.reader(itertools.chain(header, lines), delimiter=self.reading.separator, strict=True)
        self.columns = name_columns(next(self._read(), []))

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are not empty."""
        number = 0
        for cells in self._read():
            if cells and (row := fit_row(number + 1, cells, self.columns)):
                number += 1
                yield row

    def _read(self) -> Iterator[list[str]]:
        try:
            for cells in self._rows:
                self._lines.held = 0
                yield cells
        except csv.Error as error:
            raise InvalidFileError(f"Line {self._lines.number} is not CSV: {error}.") from None


def _skip_blank_lines(lines: Iterator[str]) -> str:
    """Return the first line that has any text apart from delimiters."""
    return next((line for line in lines if line.strip(_BLANK)), "")


def _complete_row(first: str, lines: Iterator[str]) -> list[str]:
    """Return the lines of a row that begins with *first*: quotes may hold ends of lines, as in wrapped headings."""
    row, is_quoted = [first], _ends_in_quotes(first)
    while is_quoted and len(row) < MOST_HEADER_LINES and (line := next(lines, "")):
        row.append(line)
        is_quoted = _ends_in_quotes(line, is_quoted=True)
    return row


def _ends_in_quotes(line: str, *, is_quoted: bool = False) -> bool:
    """Return whether a quoted cell goes on after *line*; quotes within a cell, as in ``5"``, open none."""
    before = ","
    for sign in line:
        if sign == '"' and (is_quoted or before in DELIMITERS + '"'):
            is_quoted = not is_quoted
        before = sign
    return is_quoted


def _find_delimiter(line: str) -> str:
    def count(delimiter: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=delimiter), []))
        except csv.Error:
            return 0

    return max(DELIMITERS, key=count)
