"""The way out for what is printed: while the storage takes nothing, a press should print nothing."""

import threading

from common.errors import StorageError
from common.logs import get_logger
from common.storage.port import Storage

log = get_logger(__name__)


class Outlet:
    """A storage, and whether it took something when it was last tried; open until it has failed."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._open = threading.Event()
        self._open.set()

    @property
    def is_open(self) -> bool:
        """Tell whether there is any use in printing."""
        return self._open.is_set()

    def try_out(self) -> bool:
        """Try the storage with something small, open or shut the outlet accordingly, and tell which."""
        was_open = self.is_open
        try:
            self._storage.check()
        except StorageError as error:
            self._open.clear()
            if was_open:
                log.error("outlet_shut", reason=error.message)  # noqa: TRY400  (no trace: it is foreseen)
        else:
            self._open.set()
            if not was_open:
                log.info("outlet_open")
        return self.is_open
