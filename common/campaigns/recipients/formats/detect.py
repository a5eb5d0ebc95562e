"""Selects the reader of a recipients file by its media type."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import IO

from common.campaigns.recipients.formats.csv_rows import CsvSheet
from common.campaigns.recipients.formats.json_rows import JsonLinesSheet, JsonSheet
from common.campaigns.recipients.formats.rows import Sheet
from common.campaigns.recipients.formats.xlsx import sheet as xlsx_sheet


class Format(StrEnum):
    """The formats of files of recipients."""

    CSV = "csv"
    JSON = "json"
    JSON_LINES = "jsonl"
    XLSX = "xlsx"


MEDIA_TYPES = {
    "text/csv": Format.CSV,
    "application/json": Format.JSON,
    "application/x-ndjson": Format.JSON_LINES,
    "application/jsonl": Format.JSON_LINES,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Format.XLSX,
}


@contextmanager
def open_sheet(file: IO[bytes], kind: Format, encoding: str | None = None) -> Iterator[Sheet]:
    """Yield the rows of *file*; raise InvalidFileError for one that is not what *kind* says.

    Without an *encoding*, which is one of ``encodings.TITLES``, it is found out from the file.
    """
    if kind is Format.XLSX:
        with xlsx_sheet.open_workbook(file) as sheet:
            yield sheet
    elif kind is Format.CSV:
        yield CsvSheet(file, encoding)
    elif kind is Format.JSON_LINES:
        yield JsonLinesSheet(file, encoding)
    else:
        yield JsonSheet(file, encoding)
