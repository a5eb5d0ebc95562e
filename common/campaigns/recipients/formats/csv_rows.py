"""Recipients from CSV as spreadsheets write it: commas, semicolons or tabs, any ends of lines, with or without BOM."""

import csv
import itertools
import re
from collections.abc import Iterator
from typing import IO

from common.campaigns.recipients.formats.rows import InvalidFileError, Row, fit_row, read_columns
from common.campaigns.recipients.formats.text_lines import TextLines

DELIMITERS = ",;\t"
_HINT = re.compile(r"sep=(.)\n?")  # a first line by which Excel tells itself


class CsvSheet:
    """A CSV file (RFC 4180) with a header."""

    is_open = False

    def __init__(self, file: IO[bytes], encoding: str = "utf-8-sig") -> None:
        self._lines = TextLines(file, encoding)
        lines = iter(self._lines)
        first = next(lines, "")
        if hint := _HINT.fullmatch(first):
            first, delimiter = next(lines, ""), hint[1]
        else:
            delimiter = _find_delimiter(first)
        self._rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
        self.columns = read_columns(next(self._read(), []))

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


def _find_delimiter(line: str) -> str:
    def count(delimiter: str) -> int:
        try:
            return len(next(csv.reader([line], delimiter=delimiter), []))
        except csv.Error:
            return 0

    return max(DELIMITERS, key=count)
