"""Meter readings of presses, from which the usage of any time span is computed.

There is one for each hour of the last three months, and one for each day before.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import CursorResult, and_, delete, func, insert, select, tuple_, union_all
from sqlalchemy.orm import Session, aliased

from common.db.clock import current_hour_sql, day_sql, fetch_now
from common.tables import Press, PressReading
from common.usage.spans import HOURS_KEPT, Unit, truncate_time

Readings = dict[UUID, tuple[datetime, "MeterTotals"]]
"""When a press was read, and what its meter showed."""


@dataclass(frozen=True)
class MeterTotals:
    """The totals of a meter; all are zero when a press starts."""

    busy: float = 0.0  # accelerator seconds
    cpu: float = 0.0  # seconds
    overhead: dict[str, float] = field(default_factory=dict)  # name → accelerator seconds
    energy: float | None = None  # joules; None if it is not measured

    def __sub__(self, earlier: "MeterTotals") -> "MeterTotals":
        """Return what was added since an *earlier* reading of the same meter."""
        overhead = {name: total - earlier.overhead.get(name, 0.0) for name, total in self.overhead.items()}
        energy = None if self.energy is None else self.energy - (earlier.energy or 0.0)
        return MeterTotals(self.busy - earlier.busy, self.cpu - earlier.cpu, overhead, energy)

    def share(self, of: float) -> "MeterTotals":
        """Return that share of it all, from 0 to 1."""
        overhead = {name: total * of for name, total in self.overhead.items()}
        return MeterTotals(self.busy * of, self.cpu * of, overhead, None if self.energy is None else self.energy * of)

    def __add__(self, more: "MeterTotals") -> "MeterTotals":
        """Return the sum; energy that only one of the two measured counts alone."""
        names = {*self.overhead, *more.overhead}
        overhead = {name: self.overhead.get(name, 0.0) + more.overhead.get(name, 0.0) for name in sorted(names)}
        measured = [energy for energy in (self.energy, more.energy) if energy is not None]
        return MeterTotals(self.busy + more.busy, self.cpu + more.cpu, overhead, sum(measured) if measured else None)


def record_reading(session: Session, press_id: UUID) -> None:
    """Store a press's totals if this is its first heartbeat of an hour; call it before the heartbeat is written."""
    columns = ["busy_seconds", "cpu_seconds", "overhead", "energy_joules"]
    last_of_its_hour = select(Press.id, Press.heartbeat_at, *(getattr(Press, name) for name in columns)).where(
        Press.id == press_id, Press.heartbeat_at < current_hour_sql(session)
    )
    session.execute(insert(PressReading).from_select(["press_id", "read_at", *columns], last_of_its_hour))


def thin_readings(session: Session, most: int) -> int:
    """Delete at most so many old readings that are not the last of their day; return how many."""
    first = truncate_time(fetch_now(session) - HOURS_KEPT, Unit.DAY)
    following = func.lead(PressReading.read_at).over(partition_by=PressReading.press_id, order_by=PressReading.read_at)
    old = select(PressReading.press_id, PressReading.read_at, following.label("following"))
    found = old.where(PressReading.read_at < first).subquery()
    is_followed = day_sql(session, found.c.read_at) == day_sql(session, found.c.following)
    superfluous = select(found.c.press_id, found.c.read_at).where(is_followed).limit(most)
    gone = delete(PressReading).where(tuple_(PressReading.press_id, PressReading.read_at).in_(superfluous))
    deleted = session.execute(gone.execution_options(synchronize_session=False))
    return cast("CursorResult[Any]", deleted).rowcount


def load_meter_totals(session: Session, presses: Sequence[Press], at: datetime) -> dict[UUID, MeterTotals]:
    """Return the totals of the meters of *presses* at a time, by press.

    At a whole hour they are exact to one heartbeat, and so they are at the end of a day for which only the last reading
    is left. In between, and in hours in which a press could not reach the
    database, usage is assumed to be spread evenly from one reading to the next.
    """
    before, after = _load_nearest_readings(session, at)
    shown = {}
    for press in presses:
        if at <= press.started_at:
            shown[press.id] = MeterTotals()
        elif at >= press.heartbeat_at:
            shown[press.id] = _build_totals(press)
        else:
            earlier = before.get(press.id, (press.started_at, MeterTotals()))
            shown[press.id] = _interpolate_totals(
                earlier, after.get(press.id, (press.heartbeat_at, _build_totals(press))), at
            )
    return shown


def _load_nearest_readings(session: Session, at: datetime) -> tuple[Readings, Readings]:
    """Return the nearest readings before and after a time, for each press that was running then."""
    other = aliased(PressReading)
    is_before = other.read_at <= at
    before = select(func.max(other.read_at)).where(other.press_id == Press.id, is_before)
    after = select(func.min(other.read_at)).where(other.press_id == Press.id, ~is_before)
    running = and_(Press.id == PressReading.press_id, Press.started_at < at, Press.heartbeat_at > at)
    # Two statements in one, each of which looks up its reading by the primary key.
    nearest = union_all(
        *(
            select(PressReading)
            .join(Press, running)
            .where(PressReading.read_at == query.correlate(Press).scalar_subquery())
            for query in (before, after)
        )
    )
    found: tuple[Readings, Readings] = ({}, {})
    for row in session.scalars(select(PressReading).from_statement(nearest)):
        found[row.read_at > at][row.press_id] = (row.read_at, _build_totals(row))
    return found


def _interpolate_totals(
    before: tuple[datetime, MeterTotals], after: tuple[datetime, MeterTotals], at: datetime
) -> MeterTotals:
    (began, earlier), (ended, later) = before, after
    return earlier + (later - earlier).share((at - began) / (ended - began))


def _build_totals(row: Press | PressReading) -> MeterTotals:
    return MeterTotals(row.busy_seconds, row.cpu_seconds, row.overhead, row.energy_joules)
