"""Recipients from the first visible sheet of an Excel workbook, which a sandboxed subprocess opens."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, cast

from common.campaigns.recipients.formats.headings import name_columns
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.formats.rows import LONGEST_ROW, InvalidFileError, Row, fit_row
from common.campaigns.recipients.formats.xlsx.cells import format_cell
from common.errors import PressroomError
from common.launcher.subprocess_sandbox import FileRefusedError, Sandbox, SandboxBusyError

PROGRAM = Path(__file__).with_name("read_subprocess.py")
UNFOLDED_BYTES = 256 * 2**20
LONGEST_LINE = 8 * LONGEST_ROW  # a row as the program writes it

WORKBOOKS = 2
"""How many workbooks are read at a time: each takes a core, and up to a GiB of memory."""

_sandbox = Sandbox(memory_bytes=2**30, cpu_seconds=60, places=WORKBOOKS, wait_seconds=30)

REASONS = {
    "unsupported": "The file is not an Excel workbook (.xlsx).",
    "damaged": "The workbook is damaged or password-protected.",
    "too_large": f"The workbook must not exceed {UNFOLDED_BYTES // 2**20} MiB when unpacked.",
}


class BusyError(PressroomError):
    """Too many workbooks are being read; upload this file again later."""

    code = "too_many_uploads"
    retryable = True


class XlsxSheet:
    """The first sheet of a workbook, which has a header."""

    is_open = False

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.reading = Reading()
        header = next(self._read(), [])
        # A column without a heading at the end has values, or the program would have left it out.
        self.columns = name_columns([heading or f"Column {place}" for place, heading in enumerate(header, 1)])

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are not empty."""
        number = 0
        for cells in self._read():
            if row := fit_row(number + 1, cells, self.columns):
                number += 1
                yield row

    def _read(self) -> Iterator[list[str]]:
        output = cast("IO[bytes]", self._process.stdout)
        while line := output.readline(LONGEST_LINE):
            if not line.endswith(b"\n"):
                raise _refuse_workbook()
            told = json.loads(line)
            if isinstance(told, dict):
                self.reading = Reading(**told)
            else:
                yield [format_cell(cell) for cell in told]
        try:
            _sandbox.check_exit(self._process)
        except FileRefusedError as error:
            raise _refuse_workbook(error.reason) from None


@contextmanager
def open_workbook(file: IO[bytes]) -> Iterator[XlsxSheet]:
    """Yield the sheet of the workbook in *file*; raise InvalidFileError or BusyError."""
    with tempfile.TemporaryFile() as spool, ExitStack() as opened:
        shutil.copyfileobj(file, spool)  # completely before its turn: a slow sender must not hold a place
        spool.seek(0)
        try:
            process = opened.enter_context(_sandbox.start_program(PROGRAM, spool, str(UNFOLDED_BYTES)))
        except SandboxBusyError:
            raise BusyError from None
        yield XlsxSheet(process)


def _refuse_workbook(reason: str = "") -> InvalidFileError:
    return InvalidFileError(REASONS.get(reason, "The workbook takes too much time or memory to read."))
