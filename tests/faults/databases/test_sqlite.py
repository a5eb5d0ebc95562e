"""SQLite under fire: writers that are killed, a disk without room, and a clock that jumps."""

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, text

from common import clock
from common.db import engine
from common.db.engine import Database
from common.errors import FencedError
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import JobStatus, Outcome
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.press_fixture import PressFixture
from tests.support.servers.api_servers import ROOT
from tests.support.waiting import until
from worker.press import runner

WRITER = """
import sys
from common.db.engine import Database
from tests.support import factories
database = Database(sys.argv[1])
while True:
    print(factories.submit(database).id, flush=True)
"""
WRITERS, KILLS = 4, 6
ROOMY = 2**30 - 1
"""The most pages that a file of SQLite may have by default."""


def _start_writer(database: Database, log: Path) -> subprocess.Popen[bytes]:
    url = database.url.render_as_string(hide_password=False)
    with log.open("ab") as output:
        return subprocess.Popen([sys.executable, "-c", WRITER, url], cwd=ROOT, stdout=output, stderr=output)


def _is_whole(database: Database) -> bool:
    with database.reading() as session:
        return session.scalar(text("PRAGMA integrity_check")) == "ok"


def test_f33_killed_writers_leave_the_database_intact_with_everything_committed(
    sqlite_database: Database, tmp_path: Path
) -> None:
    logs = [tmp_path / f"{number}.log" for number in range(WRITERS)]
    writers = [_start_writer(sqlite_database, log) for log in logs]
    try:
        for kill in range(KILLS):
            place = kill % WRITERS
            size = logs[place].stat().st_size
            until(lambda log=logs[place], size=size: log.stat().st_size > size + 400, "a writer to write")
            writers[place].kill()
            assert writers[place].wait() == -signal.SIGKILL
            writers[place] = _start_writer(sqlite_database, logs[place])
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert _is_whole(sqlite_database)
    told = [line for log in logs for line in log.read_text().splitlines() if len(line) == 36]
    assert len(told) == sum(len(log.read_text().splitlines()) for log in logs), "nobody has met a locked database"
    with sqlite_database.reading() as session:
        known = set(session.scalars(text("SELECT id FROM jobs")))
    assert {line.replace("-", "") for line in told} <= {str(each).replace("-", "") for each in known}


class Disk:
    """How many pages a database may have."""

    def __init__(self, database: Database) -> None:
        self.pages = ROOMY
        event.listen(database.engine, "checkout", lambda connection, *_: self._limit(connection))

    def _limit(self, connection: object) -> None:
        connection.execute(f"PRAGMA max_page_count={self.pages}")


def _order(api: Api, number: int) -> object:
    body = {"prompt": "a lighthouse " * 100, "metadata": {"note": "x" * 500}}
    return api.post("/v1/jobs", json=body, headers={"Idempotency-Key": f"f33-{number}"})


def test_f33_a_full_disk_refuses_submissions_and_accepts_them_later(sqlite_database: Database, tmp_path: Path) -> None:
    api, disk = open_api(sqlite_database, tmp_path), Disk(sqlite_database)
    disk.pages = 1  # as many as there are: it grows no more
    answers = []
    while not answers or answers[-1].status_code == 202:
        answers.append(_order(api, len(answers)))
    refused = answers.pop()
    assert (refused.status_code, refused.json["code"]) == (503, "database_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    assert api.get("/v1/jobs").status_code == 200, "what is there can be read"
    disk.pages = ROOMY
    assert _order(api, len(answers)).status_code == 202
    assert api.count_jobs() == len(answers) + 1
    assert _is_whole(sqlite_database)


def _set_clock(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    right = clock.utcnow
    for module in (clock, engine):
        monkeypatch.setattr(module, "utcnow", lambda: right() + timedelta(hours=hours))


def _sweep(database: Database) -> tuple[int, int]:
    with database.transaction() as session:
        return lifecycle.requeue_lost_jobs(session, factories.MAX_STRIKES)


def test_f43_a_clock_set_forward_ends_the_leases_of_sqlite_and_all_is_printed_once(
    sqlite_press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = factories.running(sqlite_press_fixture.database)
    _set_clock(monkeypatch, 1)
    assert _sweep(sqlite_press_fixture.database) == (1, 0)
    with sqlite_press_fixture.press() as press:
        runner.run_next_job(press)
    with pytest.raises(FencedError), sqlite_press_fixture.database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(1.0))
    assert [attempt.outcome for attempt in sqlite_press_fixture.attempts(held.job_id)] == [
        Outcome.LOST,
        Outcome.SUCCEEDED,
    ]
    sqlite_press_fixture.check()


def test_f43_a_clock_set_back_lengthens_the_leases_of_sqlite_until_it_has_caught_up(
    sqlite_press_fixture: PressFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = factories.running(sqlite_press_fixture.database)
    with monkeypatch.context() as patch:
        _set_clock(patch, -1)
        assert _sweep(sqlite_press_fixture.database) == (0, 0)
        with sqlite_press_fixture.press() as press:
            other = factories.submit(sqlite_press_fixture.database)
            factories.age(
                sqlite_press_fixture.database, other.id, "due_at", timedelta(hours=1)
            )  # SQL's clock is set back too
            runner.run_next_job(press)
        assert factories.read(sqlite_press_fixture.database, other.id).status is JobStatus.SUCCEEDED, "work goes on"
    factories.age(sqlite_press_fixture.database, held.job_id, "lease_until", timedelta(minutes=1))
    assert _sweep(sqlite_press_fixture.database) == (1, 0)
    with sqlite_press_fixture.press() as press:
        runner.run_next_job(press)
    sqlite_press_fixture.check()
