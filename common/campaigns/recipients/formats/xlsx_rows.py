"""Recipients from the first visible sheet of an Excel workbook, which ``unfolding``, a program of its own, opens."""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import IO, cast

from common.campaigns.recipients.formats.rows import LONGEST_ROW, InvalidFileError, Row, fit_row, read_columns
from common.errors import PressroomError

PROGRAM = Path(__file__).with_name("xlsx_subprocess.py")
UNFOLDED_BYTES = 256 * 2**20
MEMORY_BYTES = 2**30
SECONDS = 60
LONGEST_LINE = 8 * LONGEST_ROW  # a row as the program spells it
SLOT_SECONDS = 30

_slots = BoundedSemaphore(2)
"""However many workbooks arrive, only so many are open at a time: each takes memory and a core."""

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

    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program
        header = next(self._read(), [])
        while header and not header[-1]:
            header.pop()
        self.columns = read_columns(header)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows that are not empty."""
        number = 0
        for cells in self._read():
            if row := fit_row(number + 1, cells, self.columns):
                number += 1
                yield row

    def _read(self) -> Iterator[list[str]]:
        output, complaint = cast("IO[bytes]", self._program.stdout), cast("IO[bytes]", self._program.stderr)
        while line := output.readline(LONGEST_LINE):
            if not line.endswith(b"\n"):
                break
            yield json.loads(line)
        if line or self._program.wait(SECONDS):
            reason = "" if line else complaint.read().decode(errors="replace")
            raise InvalidFileError(REASONS.get(reason, "The workbook takes too much time or memory to read."))


@contextmanager
def open_workbook(file: IO[bytes]) -> Iterator[XlsxSheet]:
    """Yield the sheet of the workbook in *file*; raise InvalidFileError or BusyError."""
    with tempfile.TemporaryFile() as spool:
        shutil.copyfileobj(file, spool)  # whole before its turn: a sender that dawdles holds up nobody
        spool.seek(0)
        if not _slots.acquire(timeout=SLOT_SECONDS):
            raise BusyError
        try:
            limits = (UNFOLDED_BYTES, MEMORY_BYTES, SECONDS)
            # -I: nothing of this folder can be imported there; no environment: no secret can leak from there.
            command = [sys.executable, "-I", str(PROGRAM), *map(str, limits)]
            with subprocess.Popen(
                command, stdin=spool, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={}
            ) as program:
                try:
                    yield XlsxSheet(program)
                finally:
                    program.kill()
        finally:
            _slots.release()
