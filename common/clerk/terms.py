"""How long data is kept: one term for each API key that says so, and one for everything else."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.db.ids import NO_ID
from common.tables import ApiKey, Image, Job


@dataclass(frozen=True)
class RetentionTerm:
    """How long the data of one API key is kept, or by default that of all keys without a term of their own."""

    age: timedelta
    before: datetime
    """What is older than this is overdue. A value rather than an expression: PostgreSQL looks up no index by its clock,
    which differs from row to row."""
    key_id: UUID | None = None
    owner: str | None = None  # of that key
    others: Select[UUID] | None = None
    """By default: the keys that have terms of their own, if there are any."""

    @property
    def is_default(self) -> bool:
        """Return whether this is the term of what has no key with a term."""
        return self.key_id is None

    def select_images(self, *where: ColumnElement[bool]) -> Select[UUID, datetime]:
        """Return the query for the ids and times of overdue images whose objects exist, the oldest first."""
        kept = select(Image.id, Image.created_at, Image.job_id).where(
            Image.storage_key.is_not(None), Image.created_at < self.before, *where
        )
        if self.owner is not None:
            kept = kept.where(Image.owner == self.owner)  # for which there is an index
        found = kept.order_by(Image.created_at).offset(0).subquery()
        # PostgreSQL does not know which images are of which key. It would read all of the key's jobs; so, it reads the
        # oldest images, and looks up the job of each, until it has found enough.
        key_id = select(Job.key_id).where(Job.id == found.c.job_id).scalar_subquery()
        chosen = self._filter_keys(key_id)
        query = select(found.c.id, found.c.created_at)
        return query if chosen is None else query.where(chosen)

    def select_prompts(self) -> Select[UUID, datetime | None]:
        """Return the query for the ids and times of jobs whose prompts are overdue, the oldest first."""
        return select(Job.id, Job.finished_at).where(self.filter_prompts()).order_by(Job.finished_at)

    def filter_prompts(self) -> ColumnElement[bool]:
        """Select the jobs whose prompts are overdue."""
        is_old = and_(Job.prompt_erased_at.is_(None), Job.finished_at.is_not(None), Job.finished_at < self.before)
        chosen = self._filter_keys(Job.key_id.expression)
        return is_old if chosen is None else and_(is_old, chosen)

    def filter_jobs(self) -> ColumnElement[bool] | None:
        """Select the jobs that it is about; None: any job, or none."""
        return self._filter_keys(Job.key_id.expression)

    def _filter_keys(self, key_id: ColumnElement[UUID | None]) -> ColumnElement[bool] | None:
        if self.key_id is not None:
            return key_id == self.key_id
        return None if self.others is None else func.coalesce(key_id, NO_ID).not_in(self.others)


def load_keys_with_terms(session: Session) -> Sequence[ApiKey]:
    """Return the API keys that say how long any of their data is kept."""
    columns = (ApiKey.image_days, ApiKey.prompt_days, ApiKey.webhook_days)
    return session.scalars(
        select(ApiKey).where(or_(*(column.is_not(None) for column in columns))).order_by(ApiKey.id)
    ).all()


def list_terms(
    keys: Sequence[ApiKey], column: InstrumentedAttribute[int | None], default: int | None, now: datetime
) -> Iterator[RetentionTerm]:
    """Yield the terms that are in force: *default*, and of each key with a number in *column*."""
    own = [(key, timedelta(days=days)) for key in keys if (days := getattr(key, column.key)) is not None]
    if default is not None:
        age = timedelta(days=default)
        others = select(ApiKey.id).where(column.is_not(None)) if own else None
        yield RetentionTerm(age, now - age, others=others)
    for key, age in own:
        yield RetentionTerm(age, now - age, key.id, key.owner)
