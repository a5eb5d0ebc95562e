"""Reads a workbook from standard input and writes its first visible sheet's rows as lines of JSON.

A separate program, run by ``common.launcher.subprocess_sandbox``: a workbook is a zip archive of XML. It imports
nothing from Pressroom. A row is a list of cells: a text, or a list of kind, value and number format. The last line is
an object with what was found out about the sheet. Empty rows and columns before the table are left out.

Usage: ``read_subprocess.py MOST_BYTES < FILE``
"""

import datetime as dt
import json
import posixpath
import sys
import zipfile
from collections import deque
from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import python_calamine

MOST_PARTS = 2000
READ_BYTES = 64 * 1024
GENERAL = 0
TRUE = ("1", "true")


def main(most_bytes: int) -> None:
    """Write the rows."""
    _check_size(most_bytes)
    sys.stdin.buffer.seek(0)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(sys.stdin.buffer)
        name = _find_sheet(book)
        sheet = book.get_sheet_by_name(name)
        with zipfile.ZipFile(sys.stdin.buffer) as archive:
            layout = Layout(archive, name)
            _write_rows(sheet, layout)
    except (python_calamine.CalamineError, OSError, ArithmeticError, ValueError, KeyError):
        sys.exit("damaged")
    except (expat.ExpatError, zipfile.BadZipFile):
        sys.exit("damaged")
    sys.stdout.write(json.dumps({"sheet": name, "header_row": layout.header_row, "hidden_rows": layout.hidden}) + "\n")


class Layout:
    """What calamine does not tell of a sheet: the formats of its cells, and which rows are hidden."""

    def __init__(self, archive: zipfile.ZipFile, sheet: str) -> None:
        self._archive = archive
        self._part = _find_part(archive, sheet)
        self._formats = _read_formats(archive)
        self.header_row: int | None = None
        self.hidden = 0

    def iterate_rows(self) -> Iterator[tuple[int, bool, dict[int, Any]]]:
        """Yield each row's place from 0, whether it is hidden, and the formats of its cells by their place."""
        found, place, cell = deque[tuple[int, bool, dict[int, Any]]](), -1, -1

        def start(name: str, given: dict[str, str]) -> None:
            nonlocal place, cell
            name = _strip_namespace(name)
            if name == "row":
                place, cell = int(given["r"]) - 1 if "r" in given else place + 1, -1
                found.append((place, given.get("hidden") in TRUE, {}))
            elif name == "c":
                cell = _read_column(given["r"]) if "r" in given else cell + 1
                style = int(given.get("s", 0))
                if found and style < len(self._formats) and self._formats[style] != GENERAL:
                    found[-1][2][cell] = self._formats[style]

        for _ in _parse_part(self._archive, self._part, start):
            while len(found) > 1:
                yield found.popleft()
        yield from found


def _write_rows(sheet: python_calamine.CalamineSheet, layout: Layout) -> None:
    if sheet.start is None:
        return
    known = layout.iterate_rows()
    nothing = (sys.maxsize, False, dict[int, Any]())
    at, hidden, formats = next(known, nothing)
    width = max((_measure_row(row) for row in sheet.iter_rows()), default=0)
    first = sheet.start[1]
    for place, row in enumerate(sheet.iter_rows()):
        while at < place:
            at, hidden, formats = next(known, nothing)
        own, is_hidden = (formats, hidden) if at == place else ({}, False)
        if not _measure_row(row):
            continue
        if layout.header_row is None:
            layout.header_row = place + 1
        else:
            layout.hidden += is_hidden
        cells = [_encode_cell(cell, own.get(first + column)) for column, cell in enumerate(row[:width])]
        sys.stdout.write(json.dumps(cells) + "\n")


def _measure_row(row: list[Any]) -> int:
    """Return the number of cells up to the last that is not empty."""
    return max((place for place, cell in enumerate(row, 1) if not isinstance(cell, str) or cell.strip()), default=0)


def _find_sheet(book: python_calamine.CalamineWorkbook) -> str:
    for sheet in book.sheets_metadata:
        is_visible = sheet.visible is python_calamine.SheetVisibleEnum.Visible
        if is_visible and sheet.typ is python_calamine.SheetTypeEnum.WorkSheet:
            return sheet.name
    return sys.exit("unsupported")


def _find_part(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return the name of the part that holds the sheet called *sheet*."""
    relation, target = "", ""

    def read_sheet(name: str, given: dict[str, str]) -> None:
        nonlocal relation
        if _strip_namespace(name) == "sheet" and given.get("name") == sheet:
            relation = next((value for key, value in given.items() if _strip_namespace(key) == "id"), "")

    def read_relation(name: str, given: dict[str, str]) -> None:
        nonlocal target
        if _strip_namespace(name) == "Relationship" and given.get("Id") == relation:
            target = given["Target"]

    for part, read in (("xl/workbook.xml", read_sheet), ("xl/_rels/workbook.xml.rels", read_relation)):
        for _ in _parse_part(archive, part, read):
            pass
    return posixpath.normpath(posixpath.join("/xl", target)).removeprefix("/")


def _read_formats(archive: zipfile.ZipFile) -> list[Any]:
    """Return the number format of each cell style: its code, or the number of a built-in one."""
    codes, styles, is_within = dict[int, str](), list[int](), False

    def start(name: str, given: dict[str, str]) -> None:
        nonlocal is_within
        name = _strip_namespace(name)
        if name in ("cellXfs", "cellStyleXfs", "dxfs"):
            is_within = name == "cellXfs"
        elif name == "numFmt" and "numFmtId" in given:
            codes.setdefault(int(given["numFmtId"]), given.get("formatCode", ""))
        elif name == "xf" and is_within:
            styles.append(int(given.get("numFmtId", 0)))

    if "xl/styles.xml" in archive.namelist():
        for _ in _parse_part(archive, "xl/styles.xml", start):
            pass
    return [codes.get(number, number) for number in styles]


def _parse_part(archive: zipfile.ZipFile, part: str, start: Any) -> Iterator[None]:
    """Call *start* for each element of a part; yield after each piece of it."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = _refuse_doctype
    with archive.open(part) as file:
        while data := file.read(READ_BYTES):
            parser.Parse(data, False)
            yield
        parser.Parse(b"", True)
    yield


def _refuse_doctype(*_: Any) -> None:
    raise ValueError("a workbook has no document type")


def _strip_namespace(name: str) -> str:
    return name.rpartition(" ")[2]


def _read_column(reference: str) -> int:
    """Return the place from 0 of the column in a reference such as ``AB12``."""
    place = 0
    for letter in reference.upper():
        if not "A" <= letter <= "Z":
            break
        place = 26 * place + ord(letter) - ord("A") + 1
    return place - 1


def _check_size(most_bytes: int) -> None:
    """Refuse a file that is not a workbook, or would unpack to more than *most_bytes*."""
    try:
        with zipfile.ZipFile(sys.stdin.buffer) as archive:
            parts = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                sys.exit("unsupported")
            if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > most_bytes:
                sys.exit("too_large")
            for part in parts:
                with archive.open(part) as file:  # to its end, where its checksum is compared
                    while file.read(READ_BYTES):
                        pass
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError):
        sys.exit("unsupported")


def _encode_cell(cell: Any, told: Any) -> Any:
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float | int):
        return ["number", repr(cell), told or GENERAL]
    if isinstance(cell, dt.timedelta):
        return ["duration", repr(cell.total_seconds()), told or GENERAL]
    if isinstance(cell, dt.datetime):
        cell = (cell + dt.timedelta(microseconds=500_000)).replace(microsecond=0)  # stored as a fraction of a day
        if cell.time() == dt.time():
            cell = cell.date()
    if isinstance(cell, dt.date | dt.time):
        text = cell.isoformat(sep=" ") if isinstance(cell, dt.datetime) else cell.isoformat()
        return ["time" if isinstance(cell, dt.time) else "date", text, told or GENERAL]
    return str(cell)


if __name__ == "__main__":
    main(int(sys.argv[1]))
