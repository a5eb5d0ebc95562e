"""Streams the images of a campaign as a ZIP file: no temporary file, one image in memory."""

import re
from collections.abc import Iterable, Iterator

from pathvalidate import sanitize_filename
from zipstream import ZipStream

from common.campaigns.results.lines import Line
from common.errors import ObjectMissingError, PressroomError
from common.images.served_files import ServedFiles
from common.jobs import prompt_text

EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}
LONGEST_NAME = 120
LONGEST_PATTERN = 200
OMISSIONS_FILE = "left-out.txt"
FIELDS = ("recipient_id", "index", "variant", "list", "row", "seed")
USUAL_PATTERN = "{recipient_id}-{index}"
_FIELD = re.compile(r"\{([^{}]*)\}")


class InvalidPatternError(PressroomError):
    """The pattern of file names cannot be followed."""

    code = "invalid_parameter"


class FileNames:
    """Gives each picture of an archive a file name of its own that every system takes."""

    def __init__(self, pattern: str) -> None:
        pattern = pattern[: LONGEST_PATTERN + 1]  # no longer one is read
        unknown = [name for name in _FIELD.findall(pattern) if name not in FIELDS]
        rest = _FIELD.sub("", pattern)
        if unknown or "{" in rest or "}" in rest or not 0 < len(pattern) <= LONGEST_PATTERN:
            raise InvalidPatternError(
                "must consist of plain text and these fields: " + ", ".join(f"{{{name}}}" for name in FIELDS)
            )
        self._pattern = pattern
        self._taken = {OMISSIONS_FILE}
        self._last: dict[str, int] = {}  # the number that each stem was last given

    def choose(self, line: Line, extension: str) -> str:
        """Return the name for the picture of *line*: that of the pattern, numbered if another has it already."""
        stem = self._format_name(line)
        name, number = f"{stem}.{extension}", self._last.get(stem.casefold(), 1)
        while name.casefold() in self._taken:
            number += 1
            name = f"{stem} ({number}).{extension}"
        self._last[stem.casefold()] = number
        self._taken.add(name.casefold())
        return name

    def _format_name(self, line: Line) -> str:
        values = {
            "recipient_id": line.recipient.recipient_id,
            "index": line.index,
            "variant": line.recipient.arm,
            "list": line.recipient.list_number,
            "row": line.recipient.row,
            "seed": line.seed,
        }
        return sanitise_name(_FIELD.sub(lambda field: str(values[field[1]]), self._pattern)) or "picture"


def sanitise_name(name: str) -> str:
    """Return *name* as every file system takes it: nothing that leads elsewhere, hides, or is reserved."""
    return str(sanitize_filename(prompt_text.clean_text(name), "_", platform="universal", max_len=LONGEST_NAME)).strip(
        ". "
    )


def pack_archive(files: ServedFiles, lines: Iterable[Line], names: FileNames) -> Iterator[bytes]:
    """Yield the bytes of a ZIP file with the pictures of *lines*; what storage has lost is named in a file at its end.

    Pictures are stored as they are: they are packed already.
    """
    archive, missing = ZipStream(), list[str]()
    for line in lines:
        file = line.file
        if file is None:
            continue
        try:
            data = files.read_image(file)
        except ObjectMissingError:
            missing.append(f"{line.recipient.recipient_id}, image {line.index}\n")
            continue
        archive.add(data, names.choose(line, EXTENSIONS.get(file.content_type, "png")))
        yield from archive.file()
    if missing:
        archive.add("".join(["The files of these images are missing:\n", *missing]), OMISSIONS_FILE)
    yield from archive.finalize()
