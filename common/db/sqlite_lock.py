"""A file lock that queues SQLite writers across processes."""

import fcntl
import threading
from pathlib import Path
from typing import Any

from common.errors import DatabaseUnavailableError


class FileLock:
    """Lets one writer at a time, over all processes, take its turn at a SQLite file.

    SQLite's own busy handler sleeps and retries, which starves some writers for seconds; a file lock queues them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread_lock = threading.Lock()
        self._file: Any = None

    def __enter__(self) -> None:
        self._thread_lock.acquire()
        try:
            if self._file is None:
                self._file = self._path.open("ab")
            fcntl.flock(self._file, fcntl.LOCK_EX)
        except OSError as error:
            self._thread_lock.release()
            raise DatabaseUnavailableError(f"The database directory is not writable: {error.strerror}") from error

    def __exit__(self, *exception: object) -> None:
        fcntl.flock(self._file, fcntl.LOCK_UN)
        self._thread_lock.release()

    def close(self) -> None:
        """Give the lock's file back; the next turn opens it again."""
        with self._thread_lock:
            if self._file is not None:
                self._file.close()
                self._file = None
