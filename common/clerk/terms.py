"""Terms: how long things are kept for whom, as keys and settings say."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from common.tables import ApiKey, Job


@dataclass(frozen=True)
class Term:
    """So many days for what came of the jobs that a condition selects; None: of any, or of none."""

    days: int
    jobs: ColumnElement[bool] | None = None
    is_default: bool = False

    @property
    def age(self) -> timedelta:
        """Return the term as a span of time."""
        return timedelta(days=self.days)


def list_terms(session: Session, column: InstrumentedAttribute[int | None], default: int | None) -> list[Term]:
    """Return the terms that are in force: one for each number in *column*, and *default* for all other keys."""
    own = session.scalars(select(column).where(column.is_not(None)).distinct().order_by(column)).all()
    found = [Term(days, _by_keys(column == days)) for days in own if days is not None]
    if default is None:
        return found
    if not found:
        return [Term(default, is_default=True)]
    others = Job.key_id.not_in(select(ApiKey.id).where(column.is_not(None)))
    return [*found, Term(default, or_(Job.key_id.is_(None), others), is_default=True)]


def _by_keys(chosen: ColumnElement[bool]) -> ColumnElement[bool]:
    """Select the jobs of some keys; by their owners too, for which there are indexes."""
    return and_(Job.owner.in_(select(ApiKey.owner).where(chosen)), Job.key_id.in_(select(ApiKey.id).where(chosen)))
