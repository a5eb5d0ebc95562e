"""Lines of text out of a stream of bytes, never more in memory than one of bounded length."""

import io
from collections.abc import Iterator
from typing import IO, cast

from common.campaigns.recipients.formats.rows import LONGEST_ROW, InvalidFileError

BUFFER = 64 * 1024
ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class TextLines:
    """The lines of a file, with their ends, however these are spelled."""

    def __init__(self, file: IO[bytes], encoding: str) -> None:
        buffered = io.BufferedReader(cast("io.RawIOBase", _RawReader(file)), BUFFER)
        head = buffered.peek(4)[:4]
        if head.startswith(ARCHIVES):
            raise InvalidFileError("The file is an archive or a workbook; its content type says text.")
        if head.startswith(UTF_16):
            raise InvalidFileError("The file is UTF-16; save it as UTF-8.")
        self._text = io.TextIOWrapper(buffered, encoding)
        self.number = 0
        self.held = 0
        """Characters since the last row; the reader resets it at the end of each row."""

    def __iter__(self) -> Iterator[str]:
        """Yield each line; raise InvalidFileError for bytes that are not text, and for lines far too long."""
        try:
            while line := self._text.readline(LONGEST_ROW + 1):
                self.number += 1
                self.held += len(line)
                if self.held > LONGEST_ROW:
                    detail = (
                        f"Line {self.number}: a row must not exceed {LONGEST_ROW} characters. Is a quote left open?"
                    )
                    raise InvalidFileError(detail)
                if "\0" in line:
                    raise InvalidFileError(f"Line {self.number} contains a NUL character.")
                yield line
        except UnicodeDecodeError as error:
            where = f"The file, at or after line {self.number + 1},"
            raise InvalidFileError(
                f"{where} is not {error.encoding.upper()}; save it as UTF-8, or name its charset."
            ) from None


class _RawReader(io.RawIOBase):
    """Has a file that only reads be one that a buffer can be put before."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # a bytearray will do here
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
