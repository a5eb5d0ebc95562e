"""Recipients from JSON: an object a line, or an array of objects, of which one is in memory at a time.

A cell holds a number exactly as the file spells it: ``3.10`` and ``1e5`` stay what they are. Streaming parsers such as
ijson convert numbers first, so ``json`` parses each object here.
"""

import json
from collections.abc import Iterator
from typing import IO, Any

from common.campaigns.recipients.formats.headings import ColumnNames
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.formats.rows import LONGEST_ROW, InvalidFileError, Row
from common.campaigns.recipients.formats.text_decoding import TextDecoder
from common.campaigns.recipients.formats.text_lines import BUFFER, TextLines

SPACE = " \t\r\n"


class _RepeatedKey(ValueError):  # noqa: N818  (it never leaves this module)
    """A key occurs twice in an object."""


class _ObjectRows:
    """Rows out of objects, whose keys become columns as they come."""

    is_open = True

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self._names = ColumnNames()
        self.columns = self._names.names
        self._places: dict[str, int] = {}
        self._decoder = json.JSONDecoder(
            object_pairs_hook=_read_object, parse_int=str, parse_float=str, parse_constant=_refuse_constant
        )

    def _format_row(self, number: int, value: Any) -> Row:
        if not isinstance(value, dict):
            raise InvalidFileError(f"Row {number} is not a JSON object.")
        self._add_columns([key for key in value if key not in self._places])
        cells, nested = [""] * len(self.columns), list[str]()
        for key, item in value.items():
            place = self._places[key]
            if isinstance(item, dict | list):
                nested.append(self.columns[place])
            else:
                cells[place] = "" if item is None else str(item).lower() if isinstance(item, bool) else item
        self._record_nested(nested)
        return Row(number, cells, nested=tuple(nested))

    def _add_columns(self, keys: list[str]) -> None:
        for place, key in enumerate(keys, len(self.columns)):
            self._places[key] = place
        if keys:
            self._names.add(keys)

    def _record_nested(self, columns: list[str]) -> None:
        known = self.reading.nested_columns
        known.extend(column for column in columns if column not in known)


class JsonLinesSheet(_ObjectRows):
    """A file of one JSON object a line."""

    def __init__(self, file: IO[bytes], encoding: str | None = None) -> None:
        self._lines = TextLines(file, encoding)
        super().__init__(self._lines.reading)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; empty lines are none."""
        number = 0
        for line in self._lines:
            self._lines.held = 0
            if not line.strip():
                continue
            number += 1
            try:
                value = self._decoder.decode(line)
            except (ValueError, RecursionError) as error:
                raise InvalidFileError(f"Line {self._lines.number} is not JSON: {_format_error(error)}.") from None
            yield self._format_row(number, value)


class JsonSheet(_ObjectRows):
    """A file of one JSON array of objects."""

    def __init__(self, file: IO[bytes], encoding: str | None = None) -> None:
        decoder = TextDecoder(encoding)
        super().__init__(decoder.reading)
        self._file, self._decode = file, decoder.decode
        self._text, self._at, self._is_whole = "", 0, False

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows."""
        if self._next_sign() != "[":
            raise InvalidFileError("The file must be a JSON array of objects.")
        self._at += 1
        number = 0
        if self._next_sign() != "]":
            while True:
                number += 1
                yield self._format_row(number, self._next_value(number))
                if (sign := self._next_sign()) != ",":
                    break
                self._at += 1
            if sign != "]":
                raise InvalidFileError(f"Row {number} must be followed by a comma or the end of the array.")
        self._at += 1
        if self._next_sign():
            raise InvalidFileError("The file must not contain anything after the array.")

    def _next_sign(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at] in SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def _next_value(self, number: int) -> Any:
        self._next_sign()
        while True:
            try:
                value, self._at = self._decoder.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                # It may be that its end has not been read yet.
                too_long = len(self._text) - self._at > LONGEST_ROW
                if isinstance(error, RecursionError | _RepeatedKey) or too_long or not self._read_on():
                    raise InvalidFileError(f"Row {number} is not JSON: {_format_error(error)}.") from None
            else:
                return value

    def _read_on(self) -> bool:
        if self._is_whole:
            return False
        data = self._file.read(BUFFER)
        self._is_whole = not data
        self._text = self._text[self._at :] + self._decode(data, is_last=self._is_whole)
        self._at = 0
        return True


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) < len(pairs):
        raise _RepeatedKey("a key occurs twice")
    return read


def _refuse_constant(name: str) -> str:
    raise ValueError(f"{name} is not a number")


def _format_error(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:100]
