"""Stores objects as files in a directory; ``common.storage.s3`` stores them in a bucket."""

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn
from uuid import uuid4

from common.errors import ObjectMissingError, StorageError
from common.settings.private_files import sync_directory
from common.storage.links import LINK_PATH, LinkSigner, LinkTarget
from common.storage.port import PROBE, PROBE_LINK_SECONDS, check_linkable_key, check_storage_key

LEAST_FREE_BYTES = 64 * 2**20
"""Room for some of the largest pictures: a disk with less is full."""


class FileStorage:
    """Keeps images as files below one directory; the api answers its links."""

    def __init__(self, root: Path, links: LinkSigner) -> None:
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
            sync_directory(path.parent)

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
            try:
                path.unlink()
            except FileNotFoundError:
                self._check_root()

    def delete_all(self, keys: Sequence[str]) -> dict[str, str]:
        """Delete one file after the other."""
        self._check_root()
        failed = {}
        for key in keys:
            try:
                self.delete(key)
            except StorageError as error:
                failed[key] = error.message
        return failed

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
        check_linkable_key(key)
        return self.links.url(key, content_type, filename, seconds)

    def check(self) -> None:
        """Write, read back and delete a probe file; there must be room for some pictures too."""
        key = f"probes/{uuid4().hex}"
        self.put(key, PROBE, "text/plain")
        try:
            if self.get(key) != PROBE:
                raise StorageError(f"The image directory {self.root} returned different data than was written.")
        finally:
            self.delete(key)
        if shutil.disk_usage(self.root).free < LEAST_FREE_BYTES:
            raise StorageError(f"The disk of the image directory {self.root} is full.")

    def check_links(self) -> None:
        """Sign a link and read it back; the api answers it, so nothing is fetched."""
        key = f"probes/{uuid4().hex}"
        url = self.sign(key, content_type="text/plain", filename="probe.txt", seconds=PROBE_LINK_SECONDS)
        if self.links.read(url.rpartition(LINK_PATH)[2]) != LinkTarget(key, "text/plain", "probe.txt"):
            raise StorageError("A newly signed image link cannot be verified.")

    def _path(self, key: str) -> Path:
        check_storage_key(key)
        return self.root.joinpath(*key.split("/"))

    def _miss(self, key: str) -> NoReturn:
        self._check_root()
        raise ObjectMissingError(f"The stored object {key} does not exist.")

    def _check_root(self) -> None:
        # An unmounted disk must not pass for a deleted image.
        if not self.root.is_dir():
            raise StorageError(f"The image directory {self.root} does not exist.")

    @contextmanager
    def _translate_faults(self, done: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise StorageError(f"The image directory {self.root} cannot be {done}: {reason}.") from error


def _make_directory(path: Path) -> None:
    """Make a directory and its parents, each on disk before the next."""
    if path.is_dir():
        return
    _make_directory(path.parent)
    try:
        path.mkdir(exist_ok=True)
    except FileExistsError:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    sync_directory(path.parent)
