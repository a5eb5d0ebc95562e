"""Bringing commits to the disk, many with one sync, as PostgreSQL does and SQLite by itself does not.

SQLite with ``synchronous=FULL`` syncs its log once for each transaction, while all others wait. With ``NORMAL`` it
leaves that to checkpoints, and whoever has committed may sync the log afterwards: all that was written before is then
as durable as with FULL, for what has left the log was synced by the checkpoint that took it into the database file
(https://sqlite.org/wal.html, https://sqlite.org/pragma.html#pragma_synchronous).
"""

import os
import threading
from pathlib import Path

from common.errors import DatabaseUnavailableError


class GroupSync:
    """Syncs one file; those that ask while a sync runs share the next."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._begun = self._done = 0
        self._is_running = False
        self._known: int | None = None

    def wait(self) -> None:
        """Return when all that this thread has written is on the disk; raise DatabaseUnavailableError."""
        with self._changed:
            mine = self._begun + 1  # one that has begun already may have missed it
            while self._done < mine:
                if self._is_running:
                    self._changed.wait()
                    continue
                self._is_running, self._begun = True, self._begun + 1
                self._changed.release()
                try:
                    self._sync()
                finally:
                    self._changed.acquire()
                    self._is_running = False
                    self._changed.notify_all()
                self._done = self._begun

    def _sync(self) -> None:
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return  # its last user has put all of it into the database file
        try:
            os.fsync(descriptor)
            number = os.fstat(descriptor).st_ino
        except OSError as error:
            raise DatabaseUnavailableError(f"The database's log cannot be synced: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if number != self._known:
            _sync_folder(self._path.parent)
            self._known = number


def _sync_folder(folder: Path) -> None:
    """Have a new file's name on the disk too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
