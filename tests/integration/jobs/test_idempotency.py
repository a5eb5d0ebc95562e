"""Idempotency keys, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from common.db.clock import now_sql
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import IdempotencyKeyReusedError, QueueFullError
from common.jobs import idempotency, lifecycle
from common.jobs.idempotency import Reservation
from common.jobs.spec import JobSpec
from common.tables import IdempotencyKey, Job
from tests.support import factories

HOURS = 24


def _reserve(database: Database, key: str = "k1", digest: str = "d1", owner: str = "ada") -> tuple[UUID | None, UUID]:
    job_id = create_id()
    with database.transaction() as session:
        return idempotency.reserve_idempotency_key(session, Reservation(owner, key, digest, job_id), HOURS), job_id


def test_a_new_key_is_free_and_a_known_one_leads_to_its_job(database: Database) -> None:
    earlier, job_id = _reserve(database)
    assert earlier is None
    assert _reserve(database)[0] == job_id


def test_a_key_belongs_to_its_owner(database: Database) -> None:
    _reserve(database, owner="ada")
    assert _reserve(database, owner="grace")[0] is None


def test_another_request_under_the_same_key_is_refused(database: Database) -> None:
    _reserve(database, digest="d1")
    with pytest.raises(IdempotencyKeyReusedError):
        _reserve(database, digest="d2")


def _reserved_order(session: Session) -> JobSpec:
    order = factories.job_spec()
    idempotency.reserve_idempotency_key(session, Reservation("ada", "k1", "d1", order.id), HOURS)
    return order


def test_a_request_that_fails_leaves_its_key_free(database: Database) -> None:
    with pytest.raises(QueueFullError), database.transaction() as session:
        lifecycle.submit_job(session, _reserved_order(session), max_queued=0)
    assert _reserve(database, digest="d2")[0] is None


def test_a_key_expires_after_its_hours(database: Database) -> None:
    _reserve(database)
    _reserve(database, key="k2")
    with database.transaction() as session:
        session.execute(
            update(IdempotencyKey)
            .where(IdempotencyKey.key == "k1")
            .values(created_at=now_sql(session, -timedelta(hours=HOURS, seconds=1)))
        )
    with database.transaction() as session:
        idempotency.delete_old_idempotency_keys(session, HOURS, 10)
    with database.reading() as session:
        assert session.scalars(select(IdempotencyKey.key)).all() == ["k2"]
    assert _reserve(database, digest="d2")[0] is None


def test_an_expired_key_is_free_even_before_it_is_deleted(database: Database) -> None:
    _reserve(database)
    with database.transaction() as session:
        session.execute(update(IdempotencyKey).values(created_at=now_sql(session, -timedelta(hours=HOURS, seconds=1))))
    assert _reserve(database, digest="d2")[0] is None


def test_twenty_requests_with_one_key_at_the_same_moment_make_one_job(database: Database) -> None:
    barrier = Barrier(20)

    def request(_: int) -> UUID:
        order = factories.job_spec()
        barrier.wait(30)
        with database.transaction() as session:
            earlier = idempotency.reserve_idempotency_key(session, Reservation("ada", "k1", "d1", order.id), HOURS)
            return earlier or lifecycle.submit_job(session, order, 100).id

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(request, range(20)))
    assert len(answers) == 1
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_a_fingerprint_depends_on_the_request_and_not_on_its_formatting() -> None:
    one = idempotency.fingerprint_request("POST", "/v1/jobs", {"prompt": "é", "steps": 4})
    assert idempotency.fingerprint_request("POST", "/v1/jobs", {"steps": 4, "prompt": "é"}) == one
    for method, path, body in [
        ("PUT", "/v1/jobs", {"prompt": "é", "steps": 4}),
        ("POST", "/v1/other", {"prompt": "é", "steps": 4}),
        ("POST", "/v1/jobs", {"prompt": "é", "steps": 5}),
    ]:
        assert idempotency.fingerprint_request(method, path, body) != one


@pytest.mark.parametrize("header", ["abc", '"abc"', "A_b-9", "x" * 255])
def test_a_key_may_be_quoted_or_bare(header: str) -> None:
    assert idempotency.parse_idempotency_key(header) == header.strip('"')


@pytest.mark.parametrize("header", ["", '""', "x" * 256, "a b", "🎈", "a\n", '"abc', 'abc"', "a\tb", "a,b", '"a"b"'])
def test_a_malformed_key_is_refused(header: str) -> None:
    assert idempotency.parse_idempotency_key(header) is None
