"""Cache of the model catalogue, read at most once a second: every job needs it and it changes only on deployment."""

from collections.abc import Sequence
from datetime import timedelta
from operator import attrgetter
from threading import Lock

from cachetools import TLRUCache, cachedmethod

from common.db.engine import Database
from common.models import availability
from common.models.catalog import ModelCard

FRESH_SECONDS = 1.0


class ModelCache:
    """Caches the model cards for a second; an empty catalogue is not cached, so the first model is seen at once."""

    def __init__(self, database: Database, silence: timedelta = timedelta(seconds=30)) -> None:
        self._database = database
        self._silence = silence  # of a press that counts as running
        self._kept: TLRUCache[tuple[()], Sequence[ModelCard]] = TLRUCache(1, _compute_expiry)
        self._lock = Lock()

    @cachedmethod(attrgetter("_kept"), lock=attrgetter("_lock"))
    def cards(self) -> Sequence[ModelCard]:
        """Return the cards of all models, in order; one has a fault only if no running press can use its model."""
        with self._database.glancing() as session:
            return availability.load_current_cards(session, self._silence)


def _compute_expiry(_key: tuple[()], cards: Sequence[ModelCard], now: float) -> float:
    return now + FRESH_SECONDS if cards else now
