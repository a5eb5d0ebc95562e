"""Hourly meter readings of presses, from which the usage of any time span is computed."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlalchemy import and_, func, insert, select
from sqlalchemy.orm import Session, aliased

from common.db.clock import current_hour_sql
from common.tables import Press, PressReading


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


def load_meter_totals(session: Session, presses: Sequence[Press], at: datetime) -> dict[UUID, MeterTotals]:
    """Return the totals of the meters of *presses* at a time, by press.

    At a whole hour they are exact to one heartbeat. In between, and in hours in which a press could not reach the
    database, usage is assumed to be spread evenly from one reading to the next.
    """
    before = _load_nearest_readings(session, at, is_before=True)
    after = _load_nearest_readings(session, at, is_before=False)
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


def _load_nearest_readings(
    session: Session, at: datetime, *, is_before: bool
) -> dict[UUID, tuple[datetime, MeterTotals]]:
    """Return the nearest reading before or after a time, for each press that was running then."""
    other = aliased(PressReading)
    nearest = select(func.max(other.read_at) if is_before else func.min(other.read_at)).where(
        other.press_id == Press.id, other.read_at <= at if is_before else other.read_at > at
    )
    rows = session.scalars(
        select(PressReading)
        .join(Press, and_(Press.id == PressReading.press_id, Press.started_at < at, Press.heartbeat_at > at))
        .where(PressReading.read_at == nearest.correlate(Press).scalar_subquery())
    )
    return {row.press_id: (row.read_at, _build_totals(row)) for row in rows}


def _interpolate_totals(
    before: tuple[datetime, MeterTotals], after: tuple[datetime, MeterTotals], at: datetime
) -> MeterTotals:
    (began, earlier), (ended, later) = before, after
    return earlier + (later - earlier).share((at - began) / (ended - began))


def _build_totals(row: Press | PressReading) -> MeterTotals:
    return MeterTotals(row.busy_seconds, row.cpu_seconds, row.overhead, row.energy_joules)
