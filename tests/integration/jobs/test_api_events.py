"""Event streams of a job over HTTP: the events, their order, and resumption by a client; on both databases."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
import sqlalchemy

from api.jobs import event_stream
from api.runtime import job_watcher
from api.runtime.event_ids import JobSnapshot
from api.web import sse
from common.db.engine import Database
from common.db.ids import create_id
from common.errors import DatabaseUnavailableError
from common.jobs import lifecycle
from common.jobs.attempts import Claim, ClaimProgress, Spent
from common.states.jobs import ImageStatus, JobStatus
from tests.support import factories
from tests.support.apis import Api, open_api
from tests.support.servers.event_streams import EventReader, StreamedEvent, parse


@pytest.fixture(autouse=True)
def _quick_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_watcher, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


@pytest.fixture
def plain(sqlite_database: Database, tmp_path: Path) -> Api:
    """An api for what does not depend on the kind of database, with two slots for waiting requests."""
    return open_api(sqlite_database, tmp_path, max_waiting=2, owner_share=1)


@contextmanager
def following(api: Api, job_id: UUID, last_id: str | None = None) -> Iterator[EventReader]:
    """Follow a job until the block ends."""
    headers = {} if last_id is None else {"Last-Event-ID": last_id}
    opened = EventReader(api.get(f"/v1/jobs/{job_id}/events", headers=headers))
    try:
        yield opened
    finally:
        opened.close()


def claim(api: Api) -> Claim:
    held = factories.claim(api.database, factories.press(api.database))
    assert held is not None
    return held


def step(api: Api, held: Claim, number: int) -> None:
    with api.database.transaction() as session:
        lifecycle.record_heartbeat(session, held.press_id, [ClaimProgress(held, number, Spent())], factories.LEASE, {})


def lose(api: Api, held: Claim) -> None:
    factories.age(api.database, held.job_id, "lease_until", timedelta(seconds=1))
    with api.database.transaction() as session:
        lifecycle.requeue_lost_jobs(session, factories.MAX_STRIKES)


def succeed(api: Api, held: Claim) -> None:
    with api.database.transaction() as session:
        lifecycle.succeed_job(session, held, factories.images(held), Spent(gpu_seconds=1.0))


def live(api: Api) -> UUID:
    """Have a job queued, lost, printed by another press, and return it."""
    job = factories.submit(api.database, request={"num_images": 2})
    lose(api, claim(api))
    succeed(api, claim(api))
    return job.id


def without_links(job: dict[str, object]) -> dict[str, object]:
    """Return what is shown of a job but for its links, which are new at each look."""
    images = [{name: value for name, value in image.items() if "url" not in name} for image in job["images"]]  # type: ignore[attr-defined]
    return job | {"images": images}


def brief(event: StreamedEvent) -> tuple[str, str, object]:
    told = {"status": lambda data: (data["status"], data["attempt"]), "progress": lambda data: data["step"]}
    return event.id, event.name, told.get(event.name, lambda data: data["status"])(event.data)


def test_a_job_is_followed_from_the_queue_to_its_end(api: Api) -> None:
    job = factories.submit(api.database)
    with following(api, job.id) as events:
        assert brief(next(events)) == ("0.0", "status", ("queued", 0))
        held = claim(api)
        assert brief(next(events)) == ("1.0", "status", ("running", 1))
        step(api, held, 2)
        progress = next(events)
        assert (progress.id, progress.data) == ("1.2", {"step": 2, "steps": 4, "attempt": 1})
        succeed(api, held)
        *_, image, last = rest = list(events)
    assert list(map(brief, rest)) == [
        ("3.0", "status", ("succeeded", 1)),
        ("3.1", "image", "delivered"),
        ("3.2", "job", "succeeded"),
    ]
    shown = api.get(f"/v1/jobs/{job.id}").json
    assert without_links(last.data) == without_links(shown)
    assert last.data["images"] == [image.data]
    assert image.data["url"].startswith("http://127.0.0.1:8000/files/")


def test_a_returning_client_gets_every_missed_status_and_the_newest_progress(api: Api) -> None:
    job = factories.submit(api.database)
    with following(api, job.id) as events:
        first = next(events)
    lose(api, claim(api))
    held = claim(api)
    step(api, held, 1)
    step(api, held, 3)
    with following(api, job.id, first.id) as events:
        assert [brief(next(events)) for _ in range(4)] == [
            ("1.0", "status", ("running", 1)),
            ("2.0", "status", ("queued", 1)),
            ("3.0", "status", ("running", 2)),
            ("3.3", "progress", 3),
        ]


def test_a_returning_client_gets_exactly_the_events_after_its_last_id(api: Api) -> None:
    job_id = live(api)
    with following(api, job_id, "0.0") as events:
        told = [StreamedEvent("0.0", "status", {}), *events]
    assert [brief(event) for event in told[1:]] == [
        ("1.0", "status", ("running", 1)),
        ("2.0", "status", ("queued", 1)),
        ("3.0", "status", ("running", 2)),
        ("5.0", "status", ("succeeded", 2)),
        ("5.1", "image", "delivered"),
        ("5.2", "image", "delivered"),
        ("5.3", "job", "succeeded"),
    ]
    for place, event in enumerate(told[:-1]):
        with following(api, job_id, event.id) as events:
            assert [known.id for known in events] == [known.id for known in told[place + 1 :]]


def test_an_ended_job_sends_its_last_event_at_once_and_204_to_a_client_that_has_it(api: Api) -> None:
    job_id = live(api)
    answer = api.get(f"/v1/jobs/{job_id}/events")
    (event,) = parse(answer.text)
    assert (event.name, event.data["status"]) == ("job", "succeeded")
    again = api.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": event.id})
    assert (again.status_code, again.data) == (204, b"")


@pytest.mark.parametrize("was_lost", [False, True])
def test_a_job_canceled_in_the_queue_is_distinguished_from_one_that_ran(api: Api, was_lost: bool) -> None:
    held = factories.running(api.database)
    with following(api, held.job_id) as events:
        running = next(events)
    if was_lost:
        lose(api, held)
    api.post(f"/v1/jobs/{held.job_id}/cancel")
    with following(api, held.job_id, running.id) as events:
        statuses = [event.data["status"] for event in events if event.name == "status"]
    assert statuses == (["queued", "canceled"] if was_lost else ["canceled"])


def test_blocked_images_are_listed_without_links(api: Api) -> None:
    job_id, _ = api.print_job(status=ImageStatus.BLOCKED)
    with following(api, job_id, "1.0") as events:
        status, image, job = events
    assert (status.data["status"], image.data["status"], image.data["url"]) == ("failed", "blocked", None)
    assert job.data["error"]["code"] == "content_blocked"


def test_an_event_id_that_the_job_never_had_is_ignored(plain: Api) -> None:
    job = factories.submit(plain.database)
    for last_id in ("", "x", "7.0"):
        with following(plain, job.id, last_id) as events:
            assert brief(next(events)) == ("0.0", "status", ("queued", 0))


def test_another_owners_job_is_not_found(plain: Api) -> None:
    job = factories.submit(plain.database)
    foreign = plain.get(f"/v1/jobs/{job.id}/events", key=plain.make_key("bob"))
    missing = plain.get(f"/v1/jobs/{create_id()}/events")
    assert foreign.status_code == missing.status_code == 404
    assert foreign.json | {"request_id": ""} == missing.json | {"request_id": ""}


def test_events_forbid_caching_and_buffering_by_proxies(plain: Api) -> None:
    job = factories.submit(plain.database)
    for job_id in (job.id, plain.print_job()[0]):
        answer = plain.get(f"/v1/jobs/{job_id}/events")
        assert answer.content_type == "text/event-stream"
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        answer.close()


def test_an_idle_stream_is_kept_alive(plain: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.01)
    job = factories.submit(plain.database)
    with following(plain, job.id) as events:
        assert events.next_chunk().startswith(sse.RETRY)
        assert [events.next_chunk() for _ in range(3)] == [sse.HEARTBEAT] * 3


def test_a_stream_ends_after_a_while_and_can_be_resumed(plain: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    job = factories.submit(plain.database)
    with monkeypatch.context() as patch:
        patch.setattr(event_stream, "LONGEST_SECONDS", 0.05)
        with following(plain, job.id) as events:
            told = list(events)
    assert [event.name for event in told] == ["status"]
    claim(plain)
    with following(plain, job.id, told[-1].id) as events:
        assert brief(next(events)) == ("1.0", "status", ("running", 1))


def test_a_process_limits_its_open_streams_and_a_closed_one_frees_its_slot(plain: Api) -> None:
    job = factories.submit(plain.database)
    path = f"/v1/jobs/{job.id}/events"
    lines = [plain.get(path) for _ in range(2)]
    refused = plain.get(path)
    assert (refused.status_code, refused.json["code"]) == (503, "too_many_streams")
    assert refused.headers["Retry-After"] == "5"
    waiting = plain.post("/v1/jobs", json={"prompt": "x"}, headers={"Prefer": "wait=60"})
    assert "Preference-Applied" not in waiting.headers, "who waits needs a seat of the same room"
    lines.pop().close()
    with following(plain, job.id) as events:
        assert next(events).name == "status"
    lines.pop().close()


def test_an_ended_job_needs_no_stream_slot(sqlite_database: Database, tmp_path: Path) -> None:
    api = open_api(sqlite_database, tmp_path, max_waiting=0)
    job_id, _ = api.print_job()
    assert api.get(f"/v1/jobs/{job_id}/events").status_code == 200
    assert api.get(f"/v1/jobs/{factories.submit(api.database).id}/events").status_code == 503


def test_streams_end_when_the_server_stops(plain: Api) -> None:
    job = factories.submit(plain.database)
    is_closing = threading.Event()
    plain.app.extensions["pressroom"].waiting_room.close_when(is_closing.is_set)
    with following(plain, job.id) as events:
        next(events)
        is_closing.set()
        assert list(events) == []
    with following(plain, job.id) as late:
        assert [event.name for event in late] == ["status"]


def test_one_thread_and_one_query_serve_all_streams(api: Api) -> None:
    seen = [factories.submit(api.database).id for _ in range(3)]
    lines = [api.get(f"/v1/jobs/{job_id}/events") for job_id in (*seen, *seen)]
    assert len(watcher_threads()) == 1
    queries: list[str] = []
    with _counting(api.database, queries):
        looks = job_watcher.load_snapshots(api.database, seen)
    assert set(looks) == set(seen)
    assert set(looks.values()) == {JobSnapshot(JobStatus.QUEUED, 0, 0, 4, 1)}
    assert len([query for query in queries if query.startswith("SELECT")]) == 1
    for line in lines:
        line.close()
    _await(lambda: not watcher_threads())


class Faltering(Database):
    """A database that fails in the given way so many times, when it is read."""

    faults: list[Exception]

    @contextmanager
    def reading(self):
        if self.faults:
            raise self.faults.pop()
        with super().reading() as session:
            yield session


def watch(database: Database, job_id: UUID) -> JobSnapshot | None:
    """Return the first news of a job that was queued when it was looked at last."""
    tower = job_watcher.JobWatcher(database, lambda: False)
    watched = tower.watch(job_id, JobSnapshot(JobStatus.QUEUED, 0, 0, 4, 1))
    try:
        return watched.news.get(timeout=30)
    finally:
        tower.leave(watched)
        _await(lambda: not watcher_threads())
        database.close()


def test_the_watcher_survives_an_unavailable_database(sqlite_url: str) -> None:
    database = Faltering(sqlite_url)
    database.faults = []
    held = factories.running(database)
    database.faults = [DatabaseUnavailableError("away")] * 3
    assert watch(database, held.job_id) == JobSnapshot(JobStatus.RUNNING, 1, 0, 4, 1)
    assert database.faults == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_that_fails_ends_its_streams(sqlite_url: str) -> None:
    database = Faltering(sqlite_url)
    database.faults = [ZeroDivisionError()]
    assert watch(database, create_id()) is None


def watcher_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "job-watcher"]


def _await(is_so: Callable[[], bool]) -> None:
    for _ in range(3000):
        if is_so():
            return
        time.sleep(0.01)
    pytest.fail("it did not come to pass")


@contextmanager
def _counting(database: Database, queries: list[str]) -> Iterator[None]:
    """Note what this thread, and no other, asks of the database."""
    mine = threading.get_ident()

    def note(_connection, _cursor, statement, *_rest):
        if threading.get_ident() == mine:
            queries.append(statement)

    sqlalchemy.event.listen(database.engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        sqlalchemy.event.remove(database.engine, "before_cursor_execute", note)
