"""Goes through rows batch by batch, so that one that cannot be dealt with does not keep the others waiting."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

FIRST = UUID(int=0)
"""Comes before every id."""


@dataclass
class Sweep:
    """Deals with rows in the order of their ids, a batch in each run; after the last it starts over with the first."""

    deal: Callable[[UUID, int], Sequence[UUID]]
    """Deals with so many rows whose ids come after one; returns the ids, also of those that it could not deal with."""
    batch: int
    after: UUID = FIRST

    def run(self) -> int:
        """Deal with the next batch; return how many rows were looked at."""
        seen = self.deal(self.after, self.batch)
        self.after = seen[-1] if len(seen) >= self.batch else FIRST
        return len(seen)
