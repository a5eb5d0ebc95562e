"""The same request, sent again with its key, makes one job: on both databases, in turn and at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text, update

from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import IdempotencyInProgressError
from common.jobs import idempotency
from common.jobs.idempotency import Reservation
from common.states.jobs import JobStatus
from common.tables import IdempotencyKey
from tests.support import factories
from tests.support.apis import Api, open_api

THREADS = 20
KEY = {"Idempotency-Key": "order-17"}


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


def ask(api: Api, headers: dict[str, str] | None = None, **options: Any) -> Any:
    return api.post("/v1/jobs", headers=headers or KEY, **({"json": {"prompt": "x"}} | options))


def test_a_request_sent_again_shows_the_job_as_it_is_now(api: Api) -> None:
    first = ask(api)
    api.post(f"/v1/jobs/{first.json['id']}/cancel")
    again = ask(api)
    assert (again.json["id"], again.json["status"]) == (first.json["id"], "canceled")
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert (api.count_jobs(), len(api.notifier.notified)) == (1, 1)


def test_a_quoted_key_is_the_same_key(api: Api) -> None:
    assert ask(api).json["id"] == ask(api, {"Idempotency-Key": '"order-17"'}).json["id"]


def test_key_order_and_white_space_do_not_make_a_request_different(api: Api) -> None:
    json = {"Content-Type": "application/json"}
    first = ask(api, KEY | json, json=None, data=b'{"prompt": "x", "steps": 5}')
    again = ask(api, KEY | json, json=None, data=b'{"steps":5,\n"prompt":"x"}')
    assert first.json["id"] == again.json["id"]


def test_a_different_request_with_the_same_key_is_refused(api: Api) -> None:
    ask(api)
    answer = ask(api, json={"prompt": "y"})
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_a_key_is_valid_for_one_route(api: Api) -> None:
    job_id, _ = api.print_job()
    ask(api)
    assert api.post(f"/v1/jobs/{job_id}/retry", headers=KEY).json["code"] == "idempotency_key_reused"


def test_owners_do_not_share_keys(api: Api) -> None:
    assert ask(api).json["id"] != ask(api, key=api.make_key("bob")).json["id"]


def test_a_refused_request_is_not_remembered(api: Api) -> None:
    assert ask(api, json={"prompt": ""}).status_code == 422
    assert ask(api).status_code == 202


def test_an_expired_key_creates_a_new_job(api: Api) -> None:
    first = ask(api)
    with api.database.transaction() as session:
        session.execute(update(IdempotencyKey).values(created_at=now_sql(session, -timedelta(hours=25))))
    assert ask(api).json["id"] != first.json["id"]


def test_twenty_simultaneous_requests_create_one_job(api: Api) -> None:
    barrier = Barrier(THREADS)

    def ask_together(_: int) -> Any:
        barrier.wait()
        return ask(api)

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(ask_together, range(THREADS)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1
    assert (api.count_jobs(), len(api.notifier.notified)) == (1, 1)


def test_a_request_that_cannot_wait_for_the_first_is_refused_as_in_progress(postgresql_url: str) -> None:
    database = Database(postgresql_url)
    with database.transaction() as first, database.transaction() as second:
        second.execute(text("SET LOCAL lock_timeout = '50ms'"))
        assert idempotency.reserve_idempotency_key(first, Reservation("ada", "k", "digest", create_id()), 24) is None
        with pytest.raises(IdempotencyInProgressError):
            idempotency.reserve_idempotency_key(second, Reservation("ada", "k", "digest", create_id()), 24)
        second.rollback()
        first.rollback()
    database.close()


def test_a_job_that_failed_to_queue_leaves_its_key_free(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, max_queued_jobs=1)
    blocker = api.make_job()["id"]
    assert ask(api).status_code == 429
    factories.put(api.database, UUID(blocker), JobStatus.SUCCEEDED)
    assert ask(api).status_code == 202
