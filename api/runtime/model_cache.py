"""Cache of the model catalogue, read at most once a second: every order needs it and it changes only on deployment."""

import time
from collections.abc import Sequence

from common.db.engine import Database
from common.models import catalog
from common.models.catalog import ModelCard

FRESH_SECONDS = 1.0


class ModelCache:
    """Caches the model cards for a second; an empty catalogue is not cached, so the first model is seen at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._read: tuple[float, Sequence[ModelCard]] = (0.0, ())

    def cards(self) -> Sequence[ModelCard]:
        """Return the cards of all models, in order."""
        until, cards = self._read
        if not cards or time.monotonic() > until:
            until = time.monotonic() + FRESH_SECONDS
            with self._database.glancing() as session:
                cards = catalog.load_cards(session)
            self._read = (until, cards)
        return cards
