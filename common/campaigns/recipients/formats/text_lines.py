"""Lines of text out of a stream of bytes, never more in memory than one of bounded length."""

import io
from collections.abc import Iterator
from typing import IO, cast

from common.campaigns.recipients.formats.rows import LONGEST_ROW, InvalidFileError
from common.campaigns.recipients.formats.text_decoding import TextDecoder

BUFFER = 64 * 1024


class TextLines:
    """The lines of a file, with their ends, however these are spelled."""

    def __init__(self, file: IO[bytes], encoding: str | None) -> None:
        decoder = TextDecoder(encoding)
        self.reading = decoder.reading
        self._text = io.TextIOWrapper(
            io.BufferedReader(cast("io.RawIOBase", _DecodedFile(file, decoder)), BUFFER), "utf-8"
        )
        self.number = 0
        self.held = 0
        """Characters since the last row; the reader resets it at the end of each row."""

    def __iter__(self) -> Iterator[str]:
        """Yield each line; raise InvalidFileError for bytes that are not text, and for lines far too long."""
        while line := self._text.readline(LONGEST_ROW + 1):
            self.number += 1
            self.held += len(line)
            if self.held > LONGEST_ROW:
                detail = f"Line {self.number}: a row must not exceed {LONGEST_ROW} characters. Is a quote left open?"
                raise InvalidFileError(detail)
            if "\0" in line:
                raise InvalidFileError(f"Line {self.number} contains a NUL character.")
            yield line


class _DecodedFile(io.RawIOBase):
    """A file in any encoding, read as UTF-8."""

    def __init__(self, file: IO[bytes], decoder: TextDecoder) -> None:
        self._file, self._decoder = file, decoder
        self._pending, self._is_whole = memoryview(b""), False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # a bytearray will do here
        while not self._pending and not self._is_whole:
            data = self._file.read(len(buffer))
            self._is_whole = not data
            self._pending = memoryview(self._decoder.decode(data, is_last=self._is_whole).encode())
        count = min(len(buffer), len(self._pending))
        buffer[:count] = self._pending[:count]
        self._pending = self._pending[count:]
        return count
