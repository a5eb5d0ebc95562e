"""Checkers loaded from an operator's directory: the path, the labels that count and the trusted digest."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs

from common.errors import ModelUnavailableError, SafetyUnavailableError, SettingsError
from common.models import files
from common.settings import PREFIX

OPTIONS = frozenset({"label", "sha256"})


@dataclass(frozen=True)
class CheckerDirectory:
    """A directory with a network, as configured: ``DIRECTORY?label=NAME&sha256=DIGEST``."""

    directory: Path
    labels: Sequence[str] = ()
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse the part of the setting after the colon; raise SettingsError if it is invalid."""
        directory, _, query = text.partition("?")
        try:
            options = parse_qs(query, keep_blank_values=True, strict_parsing=bool(query))
        except ValueError:
            options = {"": []}
        digests = options.get("sha256", [])
        if not options.keys() <= OPTIONS or len(digests) > 1:
            raise SettingsError(f"{PREFIX}CHECKER accepts only label=NAME and sha256=DIGEST after a directory's ?.")
        return cls(Path(directory), tuple(options.get("label", ())), digests[0] if digests else None)

    def verify(self) -> str:
        """Return the digest of the directory's files; raise SafetyUnavailableError unless it is the trusted one.

        Runs before any library opens the directory, and rejects files that can carry code.
        """
        if not self.directory.is_dir():
            raise SafetyUnavailableError(f"The directory {self.directory} does not exist.")
        try:
            found = _compute_digest(self.directory, files.check_files(self.directory))
        except ModelUnavailableError as error:
            raise SafetyUnavailableError(error.message) from error
        if found != self.digest:
            advice = f"if you trust it, write sha256={found}" if self.digest is None else f"its digest is {found}"
            raise SafetyUnavailableError(f"The checker in {self.directory} is not trusted: {advice}.")
        return found


def _compute_digest(directory: Path, files: Sequence[Path]) -> str:
    """Return one digest over the names and contents of all files."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(directory).as_posix()}\n{content}\n".encode())
    return whole.hexdigest()


def check_weights_complete(name: str, report: dict[str, object]) -> None:
    """Raise SafetyUnavailableError if transformers had to initialize or ignore any weight."""
    faults = {kind: report[kind] for kind in ("missing_keys", "mismatched_keys", "unexpected_keys") if report.get(kind)}
    if faults:
        kinds = ", ".join(kind.replace("_", " ") for kind in faults)
        raise SafetyUnavailableError(f"The weights of {name} are incomplete: there are {kinds}.")
