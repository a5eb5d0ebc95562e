"""Decodes a file of recipients piece by piece, and finds out its encoding if the request does not name it.

A byte order mark decides. Otherwise a text is UTF-8, or, if it is not, Windows-1252, in which Excel saves CSV files in
Western Europe and America. No guess is made about a file that is UTF-8 in part.
"""

import codecs
import re

from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.formats.rows import InvalidFileError

ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
UTF_8, UTF_16, WINDOWS_1252 = "utf-8", "utf-16", "windows-1252"
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_HEAD = 6
"""Bytes by which an archive or a byte order mark is recognized."""
_BYTE_ORDER_MARK = "\ufeff"
_WORD = re.compile(r"""[^\s"';,|]{0,20}[^\x00-\x7f][^\s"';,|]{0,20}""")
"""A word with a letter that is written in another way in each encoding."""


class TextDecoder:
    """The decoder of one file, whose encoding was *declared*, or is to be found out if that is None."""

    def __init__(self, declared: str | None) -> None:
        self.reading = Reading(encoding=declared, is_guessed=declared is None)
        self._decoder: codecs.IncrementalDecoder | None = None
        self._head, self._lines, self._is_ascii, self._is_begun = b"", 0, True, False

    def decode(self, data: bytes, *, is_last: bool) -> str:
        """Return the text of *data*, the next piece of the file; raise InvalidFileError.

        A piece may end within a character, whose text then comes with the next.
        """
        if self._decoder is None:
            self._head += data
            if len(self._head) < _HEAD and not is_last:
                return ""
            data, self._head = self._head, b""
            self._decoder = self._choose_decoder(data)
        text = self._decode(self._decoder, data, is_last=is_last)
        self._lines += max(text.count("\n"), text.count("\r"))
        self._is_ascii = self._is_ascii and text.isascii()
        if self.reading.is_guessed and self.reading.encoding == WINDOWS_1252 and self.reading.sample is None:
            found = None if text.isascii() else _WORD.search(text)
            self.reading.sample = found[0] if found else None
        if not self._is_begun:
            text = text.lstrip(_BYTE_ORDER_MARK)  # some programs write two of them
            self._is_begun = bool(text)
        return text

    def _choose_decoder(self, head: bytes) -> codecs.IncrementalDecoder:
        if head.startswith(ARCHIVES):
            raise InvalidFileError("The file is an archive or a workbook; its content type says text.")
        found = UTF_16 if head.startswith(_UTF_16_MARKS) else UTF_8
        if self.reading.encoding is None:
            self.reading.encoding = found
        elif found == UTF_16 != self.reading.encoding:
            detail = f"The file is UTF-16, but the request declares it as {self.reading.encoding}"
            raise InvalidFileError(f"{detail}; leave out the charset, or declare charset=utf-16.")
        return codecs.getincrementaldecoder(self.reading.encoding)()

    def _decode(self, decoder: codecs.IncrementalDecoder, data: bytes, *, is_last: bool) -> str:
        held = decoder.getstate()[0]
        try:
            return decoder.decode(data, is_last)
        except UnicodeDecodeError as error:
            data = held + data
            begin = data[: error.start]
            if not (self.reading.is_guessed and self.reading.encoding == UTF_8 and self._is_ascii and begin.isascii()):
                raise self._refuse_text(begin) from None
        self.reading.encoding = WINDOWS_1252
        self._decoder = codecs.getincrementaldecoder(WINDOWS_1252)()
        return self._decode(self._decoder, data, is_last=is_last)

    def _refuse_text(self, begin: bytes) -> InvalidFileError:
        line = self._lines + max(begin.count(b"\n"), begin.count(b"\r")) + 1
        encoding = str(self.reading.encoding).upper()
        detail = f"Line {line} contains bytes that are not {encoding}; save the file as UTF-8"
        return InvalidFileError(
            f"{detail}, or declare its encoding, as in Content-Type: text/csv; charset=windows-1252 (--charset)."
        )
