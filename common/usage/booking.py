"""Books attempts that have ended to the sums by hour and by day, each exactly once.

An attempt is booked when its job has ended: its group does not change any more, nor do its images, whose erasure or
release changes no figure. Its time may grow still, when a press reports late what a lost or canceled attempt has spent.
That makes it unbooked; what was booked is kept beside it, and comes off when it is booked again.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple, cast

from sqlalchemy import Insert, Row, Table, bindparam, delete, select, update
from sqlalchemy.orm import Session

from common.db.dialects import choose_insert
from common.db.ids import NO_ID
from common.states.jobs import TERMINAL, Outcome
from common.tables import Attempt, Image, Job
from common.tables.usage import PressUsageSum, UsageSum
from common.usage.lines import NO_CURRENCY, WAS_DELIVERED
from common.usage.sources import compute_hours_horizon
from common.usage.spans import Unit, truncate_time

MARGIN = timedelta(days=2)
"""How much longer sums of hours exist than reports read them: clocks may differ, and a report may take a while."""

_TABLES = {table: cast("Table", table.__table__) for table in (UsageSum, PressUsageSum)}
_ATTEMPTS = cast("Table", Attempt.__table__)
_MEASURES = ("jobs", "attempts", "gpu_seconds", "images", "delivered_seconds", "overrun_seconds", "amount")


class Measures(NamedTuple):
    """What is added to a row of sums."""

    jobs: int = 0
    attempts: int = 0
    gpu_seconds: float = 0.0
    images: int = 0
    delivered_seconds: float = 0.0
    overrun_seconds: float = 0.0
    amount: Decimal = Decimal(0)

    def plus(self, more: "Measures") -> "Measures":
        """Return both together."""
        return Measures(
            self.jobs + more.jobs,
            self.attempts + more.attempts,
            self.gpu_seconds + more.gpu_seconds,
            self.images + more.images,
            self.delivered_seconds + more.delivered_seconds,
            self.overrun_seconds + more.overrun_seconds,
            self.amount + more.amount,
        )


class Entry(NamedTuple):
    """What one attempt adds to the sums under an outcome and a currency."""

    attempt: Row[*tuple[Any, ...]]
    outcome: str
    currency: str
    measures: Measures


Sums = dict[tuple[Any, ...], Measures]
"""Values of a row's primary key → what is added to the row."""


def book_attempts(session: Session, most: int) -> int:
    """Book at most so many attempts that have ended, with their jobs; return how many. Safe to run twice at once."""
    ended = _lock_ended_attempts(session, most)
    entries = [*_list_attempt_entries(ended), *_list_image_entries(session, ended)]
    for table, names in ((UsageSum, _name_owner_sum), (PressUsageSum, _name_press_sum)):
        sums: Sums = defaultdict(Measures)
        for entry in entries:
            for unit in _list_units(entry.attempt.started_at):
                name = names(unit, entry)
                sums[name] = sums[name].plus(entry.measures)
        _add_sums(session, _TABLES[table], sums)
    _mark_booked(session, ended)
    return len(ended)


def delete_old_hours(session: Session) -> int:
    """Delete the sums of hours for which reports read those of days; return how many rows."""
    deleted = 0
    for table in _TABLES.values():
        old = delete(table).where(table.c.unit == Unit.HOUR, table.c.begins_at < compute_hours_horizon() - MARGIN)
        deleted += session.connection().execute(old).rowcount
    return deleted


def _list_units(moment: datetime) -> Sequence[Unit]:
    """Return the units by which an attempt that began at *moment* is booked."""
    return [*Unit] if moment >= compute_hours_horizon() - MARGIN else [Unit.DAY]


def _lock_ended_attempts(session: Session, most: int) -> Sequence[Row[*tuple[Any, ...]]]:
    """Return attempts to book, the oldest first; those that somebody else books or changes just now are left out."""
    attempts = (Attempt.job_id, Attempt.number, Attempt.press_id, Attempt.started_at, Attempt.outcome)
    booked = (Attempt.gpu_seconds, Attempt.booked_outcome, Attempt.booked_seconds)
    return session.execute(
        select(*attempts, *booked, Job.owner, Job.model, Job.key_id, Job.priority, Job.status)
        .join(Job, Job.id == Attempt.job_id)
        .where(~Attempt.is_booked, Attempt.outcome != Outcome.RUNNING, Job.status.in_(TERMINAL))
        .order_by(Attempt.started_at)
        .limit(most)
        .with_for_update(of=Attempt, skip_locked=True)
    ).all()


def _list_attempt_entries(ended: Iterable[Row[*tuple[Any, ...]]]) -> Iterable[Entry]:
    for row in ended:
        is_first = int(row.number == 1)
        yield Entry(row, row.outcome, NO_CURRENCY, Measures(is_first, 1, row.gpu_seconds))
        if row.booked_outcome is not None:
            yield Entry(row, row.booked_outcome, NO_CURRENCY, Measures(-is_first, -1, -row.booked_seconds))


def _list_image_entries(session: Session, ended: Iterable[Row[*tuple[Any, ...]]]) -> Iterable[Entry]:
    new = {(row.job_id, row.number): row for row in ended if row.booked_outcome is None}
    columns = (Image.job_id, Image.attempt, Image.currency, Image.gpu_seconds, Image.overrun_seconds, Image.amount)
    images = select(*columns).where(Image.job_id.in_({job_id for job_id, _ in new}), WAS_DELIVERED)
    for image in session.execute(images):
        if (row := new.get((image.job_id, image.attempt))) is not None:
            made = Measures(0, 0, 0.0, 1, image.gpu_seconds, image.overrun_seconds, image.amount)
            yield Entry(row, "", image.currency, made)


def _name_owner_sum(unit: Unit, entry: Entry) -> tuple[Any, ...]:
    row = entry.attempt
    group = (row.owner, truncate_time(row.started_at, unit), row.model, row.key_id or NO_ID)
    return (str(unit), *group, str(row.priority), str(row.status), str(entry.outcome), entry.currency)


def _name_press_sum(unit: Unit, entry: Entry) -> tuple[Any, ...]:
    row = entry.attempt
    return (str(unit), truncate_time(row.started_at, unit), row.press_id, str(entry.outcome), entry.currency)


def _add_sums(session: Session, table: Table, sums: Mapping[tuple[Any, ...], Measures]) -> None:
    names = [column.name for column in table.primary_key]
    # Two clerks may add to the same rows: both in the order of their names, so that neither waits for the other's.
    rows = [dict(zip(names, name, strict=True)) | sums[name]._asdict() for name in sorted(sums)]
    if rows:
        session.connection().execute(_build_upsert(session, table, names), rows)


def _build_upsert(session: Session, table: Table, names: Sequence[str]) -> Insert:
    entered = choose_insert(session)(table)
    added = {name: table.c[name] + entered.excluded[name] for name in _MEASURES}
    return entered.on_conflict_do_update(index_elements=names, set_=added)


def _mark_booked(session: Session, ended: Iterable[Row[*tuple[Any, ...]]]) -> None:
    marked = (
        update(_ATTEMPTS)
        .where(_ATTEMPTS.c.job_id == bindparam("of_job"), _ATTEMPTS.c.number == bindparam("of_number"))
        .values(is_booked=True, booked_outcome=_ATTEMPTS.c.outcome, booked_seconds=_ATTEMPTS.c.gpu_seconds)
    )
    rows = [{"of_job": row.job_id, "of_number": row.number} for row in ended]
    if rows:
        session.connection().execute(marked, rows)
