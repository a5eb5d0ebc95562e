"""Readings of a press's meter: put down once an hour, and what the meter showed in between; on both databases."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from common.clock import utcnow
from common.db.engine import Database
from common.jobs import lifecycle
from common.tables import Press, PressReading
from common.usage import meter_readings
from common.usage.meter_readings import MeterTotals
from tests.support import factories

HOUR = timedelta(hours=1)
NOON = utcnow().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def clock(busy: float, energy: float | None = None) -> dict[str, Any]:
    """Return what a meter would show: overhead is half of what it was busy."""
    return {"busy_seconds": busy, "cpu_seconds": busy / 4, "overhead": {"load": busy / 2}, "energy_joules": energy}


def shown(busy: float, energy: float | None = None) -> MeterTotals:
    return MeterTotals(busy, busy / 4, {"load": busy / 2}, energy)


def beat(database: Database, press_id: UUID, busy: float) -> None:
    with database.transaction() as session:
        lifecycle.record_heartbeat(session, press_id, [], factories.LEASE, clock(busy, busy * 100))


def kept(database: Database) -> list[PressReading]:
    with database.reading() as session:
        return list(session.scalars(select(PressReading).order_by(PressReading.read_at)))


def put_down(database: Database, press_id: UUID, at: Any, busy: float) -> None:
    with database.transaction() as session:
        session.add(PressReading(press_id=press_id, read_at=at, **clock(busy, busy * 100)))


def read(database: Database, at: Any) -> list[MeterTotals]:
    with database.reading() as session:
        presses = list(session.scalars(select(Press).order_by(Press.started_at)))
        found = meter_readings.load_meter_totals(session, presses, at)
        return [found[press.id] for press in presses]


def test_of_the_readings_of_long_ago_the_last_of_each_day_is_left(database: Database) -> None:
    began = NOON - timedelta(days=100)
    press_id, other = (factories.press(database, started_at=began, heartbeat_at=NOON, **clock(999.0)) for _ in range(2))
    moments = [began + hours * HOUR for hours in (1, 2, 11.9, 12.1, 13, 40)]
    for number, at in enumerate([*moments, NOON - HOUR, NOON - 2 * HOUR]):
        put_down(database, press_id, at, number)
    put_down(database, other, moments[0], 5.0)
    with database.transaction() as session:
        assert meter_readings.thin_readings(session, 2) == 2
        assert meter_readings.thin_readings(session, 100) == 1
        assert meter_readings.thin_readings(session, 100) == 0
    left = [row.read_at for row in kept(database) if row.press_id == press_id]
    assert left == [moments[2], *moments[4:], NOON - 2 * HOUR, NOON - HOUR], "the newer ones are all there"
    assert len(kept(database)) == len(left) + 1


def test_the_last_totals_of_an_hour_are_recorded_at_the_first_beat_of_a_later_one(database: Database) -> None:
    last_seen = utcnow() - 2 * HOUR
    press_id = factories.press(database, started_at=last_seen - HOUR, heartbeat_at=last_seen, **clock(7.0, 700.0))
    beat(database, press_id, 9.0)
    (reading,) = kept(database)
    assert (reading.press_id, reading.read_at) == (press_id, last_seen)
    assert meter_readings._build_totals(reading) == shown(7.0, 700.0)


def test_further_beats_of_the_same_hour_record_nothing(database: Database) -> None:
    other = factories.press(database, heartbeat_at=utcnow() - 3 * HOUR)
    press_id = factories.press(database, heartbeat_at=utcnow() - 2 * HOUR)
    for busy in (1.0, 2.0, 3.0):
        beat(database, press_id, busy)
    assert len(kept(database)) <= 2  # two if the hour changed in between
    assert other not in {reading.press_id for reading in kept(database)}


def test_a_meter_reads_zero_before_its_start_and_its_total_after_its_last_beat(database: Database) -> None:
    factories.press(database, started_at=NOON, heartbeat_at=NOON + HOUR, **clock(8.0))
    assert read(database, NOON - HOUR) == read(database, NOON) == [MeterTotals()]
    assert read(database, NOON + HOUR) == read(database, NOON + 9 * HOUR) == [shown(8.0)]


def test_without_readings_seconds_are_spread_evenly_over_the_uptime(database: Database) -> None:
    factories.press(database, started_at=NOON, heartbeat_at=NOON + HOUR, **clock(8.0, 800.0))
    assert read(database, NOON + HOUR / 4) == [shown(2.0, 200.0)]


def test_between_two_readings_seconds_are_spread_evenly(database: Database) -> None:
    press_id = factories.press(database, started_at=NOON, heartbeat_at=NOON + 4 * HOUR, **clock(64.0, 6400.0))
    for hours, busy in ((1, 4.0), (2, 8.0), (3, 16.0)):
        put_down(database, press_id, NOON + hours * HOUR, busy)
    expected = {0.5: 2.0, 1: 4.0, 1.5: 6.0, 2: 8.0, 2.5: 12.0, 3: 16.0, 3.5: 40.0}
    for hours, busy in expected.items():
        assert read(database, NOON + hours * HOUR) == [shown(busy, busy * 100)], hours


def test_each_press_is_read_by_its_own_meter(database: Database) -> None:
    for number in range(3):
        life = {"started_at": NOON - number * HOUR, "heartbeat_at": NOON + 2 * HOUR}
        press_id = factories.press(database, **life, **clock(100.0 * number + 50))
        put_down(database, press_id, NOON + HOUR, 100.0 * number)
    assert [totals.busy for totals in read(database, NOON + HOUR)] == [200.0, 100.0, 0.0]
    assert [totals.busy for totals in read(database, NOON + 1.5 * HOUR)] == pytest.approx([225.0, 125.0, 25.0])


def test_readings_of_two_meters_add_up() -> None:
    one, other = MeterTotals(1.0, 2.0, {"load": 3.0}), MeterTotals(10.0, 20.0, {"load": 30.0, "warm_up": 40.0}, 50.0)
    assert one + other == other + one == MeterTotals(11.0, 22.0, {"load": 33.0, "warm_up": 40.0}, 50.0)
    assert (one + one).energy is None
    assert one + other - one == MeterTotals(10.0, 20.0, {"load": 30.0, "warm_up": 40.0}, 50.0)
