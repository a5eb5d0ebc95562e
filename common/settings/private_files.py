"""Files that only the user of the service may read: created whole or not at all, and the data directory they are in."""

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PRIVATE_UMASK = 0o077
PRIVATE_FOLDER = 0o700

FOLDERS = ("images", "valkey", "provenance", "checkers", "demo", "faults")
FILES = ("pressroom.db*", "secret_key", "up.lock")


def protect_data_directory(home: Path) -> None:
    """Let no other user read what this process creates from now on, nor the data directory *home*, if it exists.

    What an earlier version left open to others is closed: the directory itself, which closes all that is below it,
    and the known files and folders directly in it. A directory of another user, such as a mounted one, is left as its
    owner has set it; so is one that all users share, such as ``/tmp``.
    """
    os.umask(PRIVATE_UMASK)
    home = home.resolve()
    with suppress(FileNotFoundError, PermissionError):  # whoever needs the directory says what is wrong with it
        if not home.stat().st_mode & stat.S_ISVTX:
            _restrict_mode(home)
        for name in (*FOLDERS, *FILES):
            for path in home.glob(name):
                _restrict_mode(path)


def read_or_create(path: Path, create: Callable[[], bytes]) -> bytes:
    """Return what *path* contains; if it is missing, create it with what *create* returns.

    Of several processes that do so at the same moment, one creates the file, whole, and all return its content.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    unfinished = _write_unfinished(path, create())
    try:
        os.link(unfinished, path)  # unlike a rename, it never replaces the file of another process
    except FileExistsError:
        pass
    finally:
        unfinished.unlink()
    sync_directory(path.parent)  # by those too that came second: what they return must outlast a power failure
    return path.read_bytes()


def replace_file(path: Path, data: bytes) -> None:
    """Write *path* by a rename, on disk before this returns: whoever reads it meanwhile gets all of the old or new."""
    _write_unfinished(path, data).replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_unfinished(path: Path, data: bytes) -> Path:
    """Write *data* to a new file beside *path*, for this user alone, on disk before this returns."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".unfinished", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)


def _restrict_mode(path: Path) -> None:
    """Take the rights of other users away from a file or folder of this user; links are not followed."""
    # It may be gone meanwhile, such as SQLite's log, and some file systems cannot change modes.
    with suppress(FileNotFoundError, PermissionError):
        state = path.lstat()
        if state.st_uid == os.geteuid() and not stat.S_ISLNK(state.st_mode) and state.st_mode & PRIVATE_UMASK:
            path.chmod(stat.S_IMODE(state.st_mode) & ~PRIVATE_UMASK)
