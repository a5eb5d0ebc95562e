"""Where images are kept: the port, and its keeping of files in a directory; ``common.s3`` is the other one."""

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

from common.errors import ObjectMissingError, SettingsError, StorageError
from common.links import PATH, Linked, Links
from common.objects import QUARANTINE
from common.settings import PREFIX, Settings

LONGEST_KEY = 512
SEGMENT = re.compile(r"[^./\\\x00-\x1f\x7f][^/\\\x00-\x1f\x7f]{0,199}")
"""One part of a key. A leading dot is refused, and with it ``.``, ``..`` and the names of unfinished files."""

PROBE = b"Pressroom was here."
PROBE_LINK_SECONDS = 60
LEAST_FREE_BYTES = 64 * 2**20
"""Room for some of the largest pictures: a disk with less is full."""


class Storage(Protocol):
    """Keeps images under keys, and gives out links to them."""

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store *data*, wholly or not at all; what was there before is replaced."""
        ...

    def get(self, key: str) -> bytes:
        """Return what is stored; raise ObjectMissingError if nothing is."""
        ...

    def delete(self, key: str) -> None:
        """Delete what is stored, if anything is."""
        ...

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys that begin with *prefix*, in no particular order."""
        ...

    def sign(self, key: str, *, content_type: str, filename: str, seconds: int) -> str:
        """Return an absolute URL from which anyone can read *key* for so many seconds."""
        ...

    def check(self) -> None:
        """Write, read back, link and delete a probe; raise StorageError, one plain sentence, where it goes wrong."""
        ...


def open_storage(settings: Settings) -> Storage:
    """Return the storage that the settings name."""
    scheme, _, rest = settings.images_url.partition(":")
    if scheme == "file" and rest:
        links = Links(settings.read_secret(), settings.base_url)
        return FileStorage(Path(rest.removeprefix("//")).expanduser().absolute(), links)
    if scheme == "s3" and (bucket := urlsplit(settings.images_url).netloc):
        from common.s3 import S3Storage  # noqa: PLC0415  (boto3 takes half a second to import)

        return S3Storage.connect(
            bucket,
            prefix=urlsplit(settings.images_url).path.strip("/"),
            endpoint=settings.s3_endpoint,
            public_endpoint=settings.s3_public_endpoint,
        )
    raise SettingsError(f"{PREFIX}STORAGE_URL must be file:DIRECTORY or s3://BUCKET/PREFIX.")


class FileStorage:
    """Keeps images as files below one directory; the api answers its links."""

    def __init__(self, root: Path, links: Links) -> None:
        self.root = root
        self.links = links

    def put(self, key: str, data: bytes, content_type: str) -> None:
        """Store *data* by a rename, on disk before this returns."""
        path = self._path(key)
        unfinished = path.with_name(f".{uuid4().hex}.unfinished")
        with self._translate_faults("written"):
            _make_directory(path.parent)
            try:
                with unfinished.open("xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
            _sync_directory(path.parent)

    def get(self, key: str) -> bytes:
        """Return the file's content."""
        path = self._path(key)
        with self._translate_faults("read"):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                self._miss(key)

    def delete(self, key: str) -> None:
        """Delete the file, if there is one."""
        path = self._path(key)
        with self._translate_faults("changed"):
            path.unlink(missing_ok=True)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """Yield the keys of finished files."""
        start = self.root.joinpath(*prefix.split("/")[:-1])
        with self._translate_faults("read"):
            for directory, folders, files in os.walk(start):
                folders.sort()
                for name in sorted(files):
                    key = Path(directory, name).relative_to(self.root).as_posix()
                    if key.startswith(prefix) and not name.startswith("."):
                        yield key

    def sign(self, key: str, *, content_type: str, filename: str, seconds: int) -> str:
        """Return a link that the api answers."""
        check_linkable(key)
        return self.links.url(key, content_type, filename, seconds)

    def check(self) -> None:
        """Write, read back, link and delete a probe file; there must be room for some pictures too."""
        key = f"probes/{uuid4().hex}"
        self.put(key, PROBE, "text/plain")
        try:
            if self.get(key) != PROBE:
                raise StorageError(f"The image directory {self.root} gave back something else than was written.")
            url = self.sign(key, content_type="text/plain", filename="probe.txt", seconds=PROBE_LINK_SECONDS)
            if self.links.read(url.rpartition(PATH)[2]) != Linked(key, "text/plain", "probe.txt"):
                raise StorageError("A link to an image that was just signed cannot be read.")
        finally:
            self.delete(key)
        if shutil.disk_usage(self.root).free < LEAST_FREE_BYTES:
            raise StorageError(f"The disk of the image directory {self.root} is full.")

    def _path(self, key: str) -> Path:
        check_key(key)
        return self.root.joinpath(*key.split("/"))

    def _miss(self, key: str) -> NoReturn:
        # An unmounted disk must not pass for a deleted image.
        if not self.root.is_dir():
            raise StorageError(f"The image directory {self.root} is not there.")
        raise ObjectMissingError(f"There is no stored object {key}.")

    @contextmanager
    def _translate_faults(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StorageError(f"The image directory {self.root} cannot be {done}: {reason}.") from error


def check_key(key: str) -> None:
    """Raise StorageError unless *key* is a relative path of plain names."""
    if len(key) > LONGEST_KEY or not all(SEGMENT.fullmatch(part) for part in key.split("/")):
        raise StorageError(f"{key[:LONGEST_KEY]!r} is not a valid storage key.")


def check_linkable(key: str) -> None:
    """Raise StorageError for what no link may ever lead to, and for what ``check_key`` refuses."""
    check_key(key)
    if key.startswith(QUARANTINE):
        raise StorageError("No link is ever signed for a picture in quarantine.")


def _make_directory(path: Path) -> None:
    """Make a directory and its parents, each on disk before the next."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
