"""The operator report: busy = delivered + running + waste + overhead, and what being up costs; on both databases."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from random import Random
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event, update

from common.clock import utcnow
from common.db.engine import Database
from common.jobs import attempts, lifecycle
from common.jobs.attempts import ClaimProgress, Spent
from common.states.jobs import ImageStatus, Outcome
from common.tables import Attempt, PressReading
from common.usage import operator_report
from common.usage.operator_report import CurrencyTotals, OperatorReport, PressAccount
from tests.support import factories

HOUR = timedelta(hours=1)
TABLES = {"attempts", "images", "presses", "press_readings", "press_readings_1"}
NOON = utcnow().replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)


def account(
    database: Database, since: datetime = operator_report.WHOLE_TIME[0], until: datetime = operator_report.WHOLE_TIME[1]
) -> OperatorReport:
    with database.reading() as session:
        return operator_report.build_operator_report(session, since, until)


def print_one(database: Database, press_id: UUID, seconds: float, currency: str = "USD") -> None:
    """Have a press deliver one image of a second, and waste the rest."""
    held = factories.running(database, press_id)
    images = factories.images(held)
    for image in images:
        image.currency = currency
    with database.transaction() as session:
        lifecycle.succeed_job(session, held, images, Spent(gpu_seconds=seconds))


def begin_at(database: Database, job_id: UUID, at: datetime) -> None:
    with database.transaction() as session:
        session.execute(update(Attempt).where(Attempt.job_id == job_id).values(started_at=at))


def clock(busy: float, **overhead: float) -> dict[str, Any]:
    return {"busy_seconds": busy, "cpu_seconds": 1.0, "overhead": overhead, "energy_joules": None}


def test_an_empty_installation_has_an_empty_report(database: Database) -> None:
    found = account(database)
    assert found == OperatorReport([], PressAccount(), {})
    total = found.total
    assert (total.idle, total.utilisation, total.delivered_share, total.carried) == (0.0, None, None, 0.0)


def test_every_second_that_a_press_was_busy_is_accounted_for(database: Database) -> None:
    press_id = factories.press(database, started_at=utcnow() - HOUR)
    print_one(database, press_id, 1.5)
    held = factories.running(database, press_id)
    with database.transaction() as session:
        lifecycle.block_job(session, held, factories.images(held, ImageStatus.BLOCKED), Spent(gpu_seconds=2.0))
    held = factories.running(database, press_id)
    with database.transaction() as session:
        lifecycle.cancel_job(session, session.get_one(factories.Job, held.job_id))
        attempts.record_late_spend(session, held, Spent(gpu_seconds=4.0))
    held = factories.running(database, press_id)
    with database.transaction() as session:
        holding = ClaimProgress(held, 1, Spent(gpu_seconds=8.0))
        lifecycle.record_heartbeat(session, press_id, [holding], factories.LEASE, clock(16.5, load=0.75, warm_up=0.25))
    ((press, own),) = account(database).presses
    total = account(database).total
    assert press.id == press_id
    assert own == total
    assert total.meter.busy == 16.5
    assert total.meter.overhead == {"load": 0.75, "warm_up": 0.25}
    assert (total.ledger.delivered, total.ledger.running) == (1.0, 8.0)
    assert total.ledger.waste == {"blocked": 2.5, "canceled": 4.0}
    assert total.carried == 0.0
    assert total.idle == pytest.approx(total.up - 16.5)
    assert total.up == pytest.approx(3600, abs=60)
    assert total.utilisation == pytest.approx(16.5 / total.up)
    assert total.delivered_share == pytest.approx(1 / 16.5)


def test_seconds_that_were_not_booked_are_reported(database: Database) -> None:
    press_id = factories.press(database)
    print_one(database, press_id, 1.0)
    with database.transaction() as session:
        lifecycle.record_heartbeat(session, press_id, [], factories.LEASE, clock(5.0, load=1.0))
    assert account(database).total.carried == 3.0


def test_the_cost_of_an_image_includes_the_idle_time_of_presses(database: Database) -> None:
    life = {"started_at": NOON, "heartbeat_at": NOON + 2 * HOUR, "stopped_at": NOON + 2 * HOUR}
    first = factories.press(database, **life)
    factories.press(database, **life, price_per_hour=Decimal(1))
    euros = factories.press(database, **life, price_per_hour=Decimal(3), currency="EUR")
    factories.press(database, **life, price_per_hour=Decimal(7), currency="CHF")
    for _ in range(4):
        print_one(database, first, 1.0)
    print_one(database, euros, 1.0, "EUR")
    found = account(database)
    assert found.money == {
        "CHF": CurrencyTotals(up=Decimal(14), charged=Decimal(0), images=0),
        "EUR": CurrencyTotals(up=Decimal(6), charged=Decimal("0.000166667"), images=1),
        "USD": CurrencyTotals(up=Decimal("3.2"), charged=Decimal("0.000666668"), images=4),
    }
    assert [money.per_image for money in found.money.values()] == [None, Decimal(6), Decimal("0.8")]
    assert found.total.up == 4 * 7200
    assert sum(found.total.ledger.images.values()) == 5


def test_the_uptime_of_a_press_that_died_ends_with_its_last_heartbeat(database: Database) -> None:
    factories.press(database, started_at=NOON, heartbeat_at=NOON + HOUR)
    factories.press(database, started_at=NOON, heartbeat_at=NOON + HOUR, stopped_at=NOON + 1.5 * HOUR)
    assert [own.up for _, own in account(database).presses] == [5400.0, 3600.0]


def test_only_the_uptime_within_the_period_is_counted(database: Database) -> None:
    press_id = factories.press(database, started_at=NOON, heartbeat_at=NOON + 4 * HOUR, **clock(3000.0, load=400.0))
    with database.transaction() as session:
        for hours, busy, load in ((1, 200.0, 100.0), (2, 1200.0, 100.0), (3, 2000.0, 400.0)):
            reading = clock(busy, load=load)
            session.add(PressReading(press_id=press_id, read_at=NOON + hours * HOUR, **reading))
    second = account(database, NOON + HOUR, NOON + 2 * HOUR).total
    assert (second.up, second.meter.busy, second.meter.overhead) == (3600.0, 1000.0, {"load": 0.0})
    assert second.utilisation == pytest.approx(1000 / 3600)
    third = account(database, NOON + 2 * HOUR, NOON + 3 * HOUR).total
    assert (third.meter.busy, third.meter.overhead) == (800.0, {"load": 300.0})
    assert account(database, NOON + 4 * HOUR, NOON + 5 * HOUR).presses == []
    assert account(database, NOON - HOUR, NOON).presses == []
    assert account(database, NOON - HOUR, NOON + 9 * HOUR).total.up == 4 * 3600


def test_seconds_carried_over_the_end_of_a_period_count_in_the_next(database: Database) -> None:
    press_id = factories.press(database, started_at=NOON, heartbeat_at=NOON + 2 * HOUR, **clock(50.0, load=10.0))
    with database.transaction() as session:
        session.add(PressReading(press_id=press_id, read_at=NOON + HOUR, **clock(25.0, load=10.0)))
    held = factories.running(database, press_id)
    begin_at(database, held.job_id, NOON + HOUR - timedelta(seconds=15))
    with database.transaction() as session:
        attempts.end_attempt(session, held, Outcome.FAILED, Spent(gpu_seconds=40.0), None)
    first, second = (account(database, NOON + n * HOUR, NOON + (n + 1) * HOUR).total for n in (0, 1))
    both = account(database, NOON, NOON + 2 * HOUR).total
    assert (first.meter.busy, first.ledger.waste, first.carried) == (25.0, {"failed": 40.0}, -25.0)
    assert (second.meter.busy, second.ledger.waste, second.carried) == (25.0, {}, 25.0)
    assert (both.meter.busy, both.ledger.waste, both.carried) == (50.0, {"failed": 40.0}, 0.0)


def test_a_press_that_never_reported_its_job_is_in_the_report(database: Database) -> None:
    press_id = factories.press(database, started_at=NOON, heartbeat_at=NOON)
    held = factories.running(database, press_id)
    begin_at(database, held.job_id, NOON + HOUR)
    ((press, own),) = account(database, NOON + 0.5 * HOUR, NOON + 2 * HOUR).presses
    assert (press.id, own.up, own.ledger.attempts) == (press_id, 0.0, 1)


def test_energy_is_the_sum_of_what_was_measured(database: Database) -> None:
    life = {"started_at": NOON, "heartbeat_at": NOON + 2 * HOUR}
    factories.press(database, **life)
    assert account(database).total.meter.energy is None
    for joules in (3_000.0, 4_000.0):
        factories.press(database, **life, energy_joules=joules)
    assert account(database).total.meter.energy == 7_000.0
    assert account(database, NOON, NOON + HOUR).total.meter.energy == 3_500.0


@contextmanager
def listening(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Collect the questions that are asked in the block."""
    heard: list[tuple[str, Any]] = []

    def hear(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith("SELECT"):
            heard.append((statement, parameters))

    event.listen(database.engine, "before_cursor_execute", hear)
    yield heard
    event.remove(database.engine, "before_cursor_execute", hear)


def test_the_report_reads_no_jobs_and_only_the_attempts_of_its_period(sqlite_database: Database) -> None:
    print_one(sqlite_database, factories.press(sqlite_database), 1.0)
    with listening(sqlite_database) as heard:
        account(sqlite_database, NOON, utcnow())
    assert heard
    for statement, parameters in heard:
        with sqlite_database.engine.connect() as connection:
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
        steps = [row.detail for row in plan]
        assert not [step for step in steps if "jobs" in step.split()], steps
        assert not [step for step in steps if step.startswith("SCAN") and step.split()[1] in TABLES], steps


def test_adjacent_periods_add_up_to_the_whole_period(database: Database) -> None:
    chance = Random(4)
    for _ in range(5):
        began, hours = NOON + chance.uniform(-3, 3) * HOUR, chance.uniform(0.5, 8)
        totals = [{"busy": chance.uniform(0, 900), "load": chance.uniform(0, 90)} for _ in range(int(hours) + 1)]
        sums = [{name: sum(part[name] for part in totals[: n + 1]) for name in totals[0]} for n in range(len(totals))]
        *kept, last = [clock(each["busy"], load=each["load"]) for each in sums]
        press_id = factories.press(database, started_at=began, heartbeat_at=began + hours * HOUR, **last)
        with database.transaction() as session:
            for number, reading in enumerate(kept):
                session.add(PressReading(press_id=press_id, read_at=began + (number + 1) * HOUR / 2, **reading))
        held = factories.running(database, press_id)
        begin_at(database, held.job_id, began + chance.uniform(0, hours) * HOUR)
        with database.transaction() as session:
            attempts.record_spend(session, held, Spent(gpu_seconds=chance.uniform(0, 500)))
    cuts = [NOON - 4 * HOUR, *sorted(NOON + chance.uniform(-4, 12) * HOUR for _ in range(6)), NOON + 12 * HOUR]
    parts = [account(database, since, until).total for since, until in pairwise(cuts)]
    whole = account(database).total
    assert sum(part.up for part in parts) == pytest.approx(whole.up)
    assert sum(part.meter.busy for part in parts) == pytest.approx(whole.meter.busy)
    assert sum(part.meter.overhead.get("load", 0.0) for part in parts) == pytest.approx(whole.meter.overhead["load"])
    assert sum(part.ledger.running for part in parts) == pytest.approx(whole.ledger.running)
    assert sum(part.carried for part in parts) == pytest.approx(whole.carried)
    assert all(part.meter.busy >= 0 and part.up >= 0 for part in parts)
