"""Reads a workbook from standard input and writes its first sheet's rows as lines of JSON.

A separate program, run by ``common.launcher.subprocess_sandbox``: a workbook is a zip archive of XML. It imports
nothing from Pressroom.

Usage: ``xlsx_subprocess.py MOST_BYTES < FILE``
"""

import datetime as dt
import json
import sys
import zipfile
from typing import Any

import python_calamine

MOST_PARTS = 2000
READ_BYTES = 64 * 1024


def main(most_bytes: int) -> None:
    """Write the rows."""
    _check_size(most_bytes)
    sys.stdin.buffer.seek(0)
    try:
        book = python_calamine.CalamineWorkbook.from_filelike(sys.stdin.buffer)
        sheets = [
            sheet
            for sheet in book.sheets_metadata
            if sheet.typ is python_calamine.SheetTypeEnum.WorkSheet
            and sheet.visible is python_calamine.SheetVisibleEnum.Visible
        ]
        if not sheets:
            sys.exit("unsupported")
        rows = book.get_sheet_by_name(sheets[0].name).iter_rows()
    except (python_calamine.CalamineError, OSError, ValueError):
        sys.exit("damaged")
    for row in rows:
        sys.stdout.write(json.dumps([_format_cell(cell) for cell in row]) + "\n")


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


def _format_cell(cell: Any) -> str:
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 2**53 else repr(cell)
    if isinstance(cell, dt.datetime) and cell.time() == dt.time():
        return cell.date().isoformat()
    return cell.isoformat() if isinstance(cell, dt.date | dt.time) else str(cell)


if __name__ == "__main__":
    main(int(sys.argv[1]))
