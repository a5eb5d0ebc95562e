"""The backlog of retention: what is overdue for erasure, and since when."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from common.clerk.terms import RetentionTerm, list_terms, load_keys_with_terms
from common.clock import utcnow
from common.settings import Settings
from common.tables import ApiKey

MOST_COUNTED = 10_000
"""Rows are counted up to this number, which says enough, so that a look at a large backlog costs little."""

TOLERATED = timedelta(hours=1)


@dataclass(frozen=True)
class Overdue:
    """How many rows of a kind are overdue, at most ``MOST_COUNTED``, and since when the oldest is."""

    count: int = 0
    since: datetime | None = None


@dataclass(frozen=True)
class Backlog:
    """What the clerk has still to erase; it is empty, or younger than some minutes, while the clerk keeps up."""

    images: Overdue
    prompts: Overdue

    @property
    def since(self) -> datetime | None:
        """Return since when the oldest is overdue; None if nothing is."""
        return min((each.since for each in (self.images, self.prompts) if each.since is not None), default=None)

    @property
    def is_late(self) -> bool:
        """Return whether the oldest is overdue for longer than a clerk that keeps up ever takes."""
        return self.since is not None and utcnow() - self.since > TOLERATED

    @property
    def words(self) -> str:
        """Return how much is overdue, for people to read: “12 images and the prompts of 10,000 jobs or more”."""
        images = _name_count(self.images.count, "image", "images")
        prompts = _name_count(self.prompts.count, "job", "jobs")
        named = [
            *([images] if self.images.count else []),
            *([f"the prompts of {prompts}"] if self.prompts.count else []),
        ]
        return " and ".join(named) or "nothing"


def _name_count(count: int, one: str, many: str) -> str:
    limit = " or more" if count >= MOST_COUNTED else ""
    return f"{count:,} {one if count == 1 else many}{limit}"


def load_backlog(session: Session, settings: Settings) -> Backlog:
    """Return what is overdue now, of all owners."""
    keys, now = load_keys_with_terms(session), utcnow()
    return Backlog(
        _measure_overdue(
            session, list_terms(keys, ApiKey.image_days, settings.image_days, now), RetentionTerm.select_images
        ),
        _measure_overdue(
            session, list_terms(keys, ApiKey.prompt_days, settings.prompt_days, now), RetentionTerm.select_prompts
        ),
    )


def _measure_overdue(
    session: Session,
    terms: Iterable[RetentionTerm],
    select_rows: Callable[[RetentionTerm], Select[*tuple[Any, ...]]],
) -> Overdue:
    """Count what is overdue by each term; *select_rows* is the query for ids, and times from which the term runs."""
    count, since = 0, list[datetime]()
    for term in terms:
        found = select_rows(term).limit(MOST_COUNTED - count + 1).subquery()
        number, oldest = session.execute(select(func.count(), func.min(found.c[1])).select_from(found)).one()
        count += number
        since += [] if oldest is None else [oldest + term.age]
    return Overdue(min(count, MOST_COUNTED), min(since, default=None))
