"""Cache of the model catalogue, read at most once a second: every job needs it and it changes only on deployment."""

from collections.abc import Sequence
from operator import attrgetter
from threading import Lock

from cachetools import TLRUCache, cachedmethod

from common.db.engine import Database
from common.models import catalog
from common.models.catalog import ModelCard

FRESH_SECONDS = 1.0


class ModelCache:
    """Caches the model cards for a second; an empty catalogue is not cached, so the first model is seen at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._kept: TLRUCache[tuple[()], Sequence[ModelCard]] = TLRUCache(1, _compute_expiry)
        self._lock = Lock()

    @cachedmethod(attrgetter("_kept"), lock=attrgetter("_lock"))
    def cards(self) -> Sequence[ModelCard]:
        """Return the cards of all models, in order."""
        with self._database.glancing() as session:
            return catalog.load_cards(session)


def _compute_expiry(_key: tuple[()], cards: Sequence[ModelCard], now: float) -> float:
    return now + FRESH_SECONDS if cards else now
