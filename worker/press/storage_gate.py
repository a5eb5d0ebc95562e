"""Storage gate: while the storage accepts no writes, the press generates no images."""

import threading

from common.errors import StorageError
from common.logs import get_logger
from common.storage.port import Storage

log = get_logger(__name__)


class StorageGate:
    """A storage and the result of its last write; open until a write fails."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._open = threading.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Return whether images can be stored."""
        return self._open.is_set()

    def probe(self) -> bool:
        """Test the storage with a small write, open or close the gate accordingly, and return whether it is open."""
        was_open = self.is_open
        try:
            self._storage.check()
        except StorageError as error:
            self._open.clear()
            if was_open:
                log.error("storage_gate_closed", reason=error.message)  # noqa: TRY400  (no traceback: expected)
        except Exception:  # boundary: whatever the storage raises, nothing can be stored
            self._open.clear()
            if was_open:
                log.exception("storage_gate_closed")
        else:
            self._open.set()
            if not was_open:
                log.info("storage_gate_opened")
        return self.is_open
