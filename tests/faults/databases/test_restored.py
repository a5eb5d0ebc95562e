"""Databases that lost their last minutes by a fail-over or a restore: nothing breaks, and idempotency keys work."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy import text

from common.clerk import orphans
from common.db.engine import Database
from common.states.jobs import JobStatus
from common.storage.files import FileStorage
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.press_fixture import PressFixture
from tests.support.servers import services
from worker.press import runner

BODY = {"prompt": "a lighthouse", "model": "painted", "width": 64, "height": 64, "steps": 2}

Copy = Callable[[], Database]


@pytest.fixture
def copy(database: Database, postgresql_server: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Copy]:
    """Copy the database as it stands, as a replica does that lags, or a backup."""
    opened: list[Database] = []

    def make() -> Database:
        if database.is_sqlite:
            with database.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.connection.execute(f"VACUUM INTO '{tmp_path / 'copy.db'}'")
            url = f"sqlite:///{tmp_path / 'copy.db'}"
        else:
            database.engine.dispose()  # a template must have no guests
            url = services.create_database(postgresql_server, "copy", template=database.url.database)
        opened.append(Database(url))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
    if not database.is_sqlite:
        server = sqlalchemy.create_engine(postgresql_server, isolation_level="AUTOCOMMIT")
        with server.connect() as connection:
            connection.execute(text('DROP DATABASE IF EXISTS "copy"'))
        server.dispose()


def _order(api: Api, key: str) -> str:
    answer = api.post("/v1/jobs", json=BODY, headers={"Idempotency-Key": key})
    assert answer.status_code == 202, answer.text
    return str(answer.json["id"])


def test_f30_a_job_lost_in_a_fail_over_is_404_and_its_key_creates_it_again(
    database: Database, copy: Copy, press_fixture: PressFixture, tmp_path: Path
) -> None:
    before = open_api(database, tmp_path / "home")
    kept = _order(before, "kept")
    replica = copy()
    lost = _order(before, "lost")

    after = open_api(replica, tmp_path / "home", notifier=before.notifier)
    after.key = before.key
    assert after.get(f"/v1/jobs/{kept}").status_code == 200
    assert after.get(f"/v1/jobs/{lost}").status_code == 404
    assert _order(after, "lost") != lost
    assert after.count_jobs() == 2
    whole = PressFixture(replica, press_fixture.storage, press_fixture.settings)
    with whole.press() as press:
        for _ in before.notifier.notified:  # three, of which one rings for a job that is no more
            runner.run_next_job(press)
    whole.check()


def test_f64_after_a_restore_nothing_is_deleted_at_once_printed_twice_or_billed_twice(
    database: Database, copy: Copy, press_fixture: PressFixture, tmp_path: Path
) -> None:
    early = factories.submit(database)
    with press_fixture.press() as press:
        runner.run_next_job(press)
    backup = copy()
    late = factories.submit(database)
    with press_fixture.press() as press:
        runner.run_next_job(press)
    written = set(press_fixture.storage.list_keys(""))
    restored = PressFixture(backup, press_fixture.storage, press_fixture.settings)
    orphans.collect_orphans(backup, press_fixture.storage)
    assert set(press_fixture.storage.list_keys("")) == written, "what no row names may be what a better backup names"
    assert not [key for key in written if str(late.id) not in key and str(early.id) not in key]

    assert isinstance(press_fixture.storage, FileStorage)
    with restored.press() as press:
        again = factories.submit(backup)
        runner.run_next_job(press)
        runner.run_next_job(press)
    for job_id in (early.id, again.id):
        assert factories.read(backup, job_id).status is JobStatus.SUCCEEDED
        assert len(restored.attempts(job_id)) == 1
    _forget(press_fixture, late.id)
    restored.check()


def _forget(press_fixture: PressFixture, job_id: UUID) -> None:
    for key in list(press_fixture.storage.list_keys("")):
        if str(job_id) in key:
            press_fixture.storage.delete(key)
