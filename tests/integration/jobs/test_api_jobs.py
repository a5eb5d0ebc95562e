"""Jobs over HTTP: made, looked at, listed, waited for, canceled and made again, on both databases."""

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from common.db.engine import Database
from common.errors import BrokerUnavailableError, InvalidPictureError
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.states.jobs import JobStatus
from tests.support import factories
from tests.support.apis import Api, open_api


@pytest.fixture
def api(database: Database, tmp_path: Path) -> Api:
    return open_api(database, tmp_path)


@pytest.fixture
def plain(sqlite_database: Database, tmp_path: Path) -> Api:
    """An api for what does not depend on the kind of database."""
    return open_api(sqlite_database, tmp_path, max_waiting=1, max_queued_jobs=2)


class UnreachableNotifier:
    """A notifier whose broker cannot be reached."""

    def notify(self, model: str, job_id: UUID) -> None:
        raise BrokerUnavailableError

    def count_pending(self, model: str) -> int:
        raise BrokerUnavailableError


def finish(api: Api) -> None:
    """Have a press print the next job, as soon as there is one."""
    press_id = factories.press(api.database)
    for _ in range(600):
        held = factories.claim(api.database, press_id)
        if held is not None:
            with api.database.transaction() as session:
                lifecycle.succeed_job(session, held, factories.images(held), Spent(gpu_seconds=1.0))
            return
        time.sleep(0.05)


def test_a_job_is_accepted_queued_and_notified(api: Api) -> None:
    answer = api.post("/v1/jobs", json={"prompt": "a lighthouse"})
    job = answer.json
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert answer.headers["Retry-After"] == "1"
    assert (job["object"], job["status"], job["queue_position"], job["images"]) == ("job", "queued", 0, [])
    assert api.notifier.notified == [("painted", UUID(job["id"]))]
    assert api.get(answer.headers["Location"]).json == job


def test_missing_fields_come_from_the_model_and_the_seed_is_random(api: Api) -> None:
    first, second = (api.make_job()["request"] for _ in range(2))
    assert first["seed"] != second["seed"]
    assert first | {"seed": 0} == {
        "prompt": "a lighthouse",
        "negative_prompt": "",
        "model": "painted",
        "width": 512,
        "height": 512,
        "steps": 20,
        "guidance_scale": 5.0,
        "seed": 0,
        "num_images": 1,
        "scheduler": None,
        "output_format": "png",
        "adapters": [],
        "init_image": None,
        "mask_image": None,
        "strength": None,
        "safety": {
            "mode": "on",
            "review_above": 0.2,
            "block_above": 0.8,
            "review_action": "flag",
            "on_block": "fail",
        },
    }


def test_the_requested_fields_are_kept(api: Api) -> None:
    fields = {
        "negative_prompt": "fog",
        "width": 64,
        "height": 128,
        "steps": 3,
        "guidance_scale": 0,
        "seed": 2**53 - 1,
        "num_images": 2,
        "scheduler": "ddim",
        "output_format": "webp",
    }
    job = api.make_job(**fields, priority="bulk", deadline_s=60, metadata={"order": "A-1"})
    assert fields.items() <= job["request"].items()
    assert (job["priority"], job["metadata"]) == ("bulk", {"order": "A-1"})
    row = factories.read(api.database, UUID(job["id"]))
    assert row.deadline_at is not None
    assert row.deadline_at - row.created_at == pytest.approx(timedelta(seconds=60), abs=timedelta(seconds=1))
    assert job["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("e\u0301", "\u00e9"),
        ("a\u202eb\u0007c\u2066d", "abcd"),
        ("two\r\nlines", "two lines"),
        ("👩‍👩‍👧 می‌خواهم", "👩‍👩‍👧 می‌خواهم"),
        ("<lora:../../etc/passwd:1> {{7*7}} ${jndi:x} '; DROP TABLE jobs; <script>", None),
    ],
)
def test_a_prompt_is_kept_as_plain_text(api: Api, sent: str, kept: str | None) -> None:
    assert api.make_job(prompt=sent)["request"]["prompt"] == (kept or sent)


def test_an_unavailable_broker_is_not_an_error_for_the_client(database: Database, tmp_path: Path) -> None:
    api = open_api(database, tmp_path, notifier=UnreachableNotifier())
    assert api.make_job()["status"] == "queued"


def test_an_owner_may_queue_a_limited_number_of_jobs(plain: Api) -> None:
    for _ in range(2):
        plain.make_job()
    answer = plain.post("/v1/jobs", json={"prompt": "x"}, headers={"Idempotency-Key": "k"})
    assert (answer.status_code, answer.json["code"], answer.headers["Retry-After"]) == (429, "queue_full", "10")
    finish(plain)
    assert plain.post("/v1/jobs", json={"prompt": "x"}, headers={"Idempotency-Key": "k"}).status_code == 202


def test_a_finished_job_shows_images_cost_and_links(api: Api) -> None:
    job_id, (row,) = api.print_job()
    job = api.get(f"/v1/jobs/{job_id}").json
    (image,) = job["images"]
    assert (job["status"], job["progress"], job["queue_position"]) == ("succeeded", {"step": 4, "steps": 4}, None)
    assert job["cost"] == {"gpu_seconds": 1.0, "amount": "0.000166667", "currency": "USD"}
    assert (image["id"], image["index"], image["status"], image["seed"]) == (str(row.id), 0, "delivered", 7)
    assert image["url"].startswith("http://127.0.0.1:8000/files/")
    assert image["safety"]["verdict"] == "pass"


def test_a_failed_job_says_why(api: Api) -> None:
    held = factories.running(api.database)
    with api.database.transaction() as session:
        lifecycle.block_job(session, held, [], Spent(gpu_seconds=1.0))
    job = api.get(f"/v1/jobs/{held.job_id}").json
    assert job["status"] == "failed"
    assert (job["error"]["code"], job["error"]["retryable"]) == ("content_blocked", False)
    assert job["cost"]["amount"] == "0"


def test_an_unchanged_job_is_not_sent_twice(api: Api) -> None:
    job_id, _ = api.print_job()
    first = api.get(f"/v1/jobs/{job_id}")
    again = api.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_changed_job_is_sent_again(api: Api) -> None:
    job_id = api.make_job()["id"]
    tag = api.get(f"/v1/jobs/{job_id}").headers["ETag"]
    api.post(f"/v1/jobs/{job_id}/cancel")
    assert api.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": tag}).status_code == 200


def test_waiting_returns_the_finished_job(api: Api) -> None:
    press = threading.Thread(target=finish, args=[api])
    press.start()
    answer = api.post("/v1/jobs", json={"prompt": "x"}, headers={"Prefer": "wait=30"})
    press.join()
    assert (answer.status_code, answer.json["status"]) == (200, "succeeded")
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_waiting_ends_after_the_time_asked_for(plain: Api) -> None:
    answer = plain.post("/v1/jobs", json={"prompt": "x"}, headers={"Prefer": "respond-async, wait=1"})
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "wait=1")


def test_a_request_without_a_free_waiting_slot_is_answered_at_once(plain: Api) -> None:
    room = plain.app.extensions["pressroom"].waiting_room
    answers: list[Any] = []

    def ask() -> bool:
        answers.append(plain.post("/v1/jobs", json={"prompt": "x"}, headers={"Prefer": "wait=60"}))
        return True

    assert room.wait("ada", ask, 60)
    assert answers[0].status_code == 202
    assert "Preference-Applied" not in answers[0].headers


def test_positions_follow_the_order_of_claims(api: Api) -> None:
    bulk, first, second = api.make_job(priority="bulk"), api.make_job(), api.make_job()
    positions = [api.get(f"/v1/jobs/{job['id']}").json["queue_position"] for job in (first, second, bulk)]
    assert positions == [0, 1, 2]
    finish(api)
    assert api.get(f"/v1/jobs/{bulk['id']}").json["queue_position"] == 1


def test_pages_list_every_job_once_newest_first(api: Api) -> None:
    made = [api.make_job()["id"] for _ in range(5)]
    listed, cursor = [], None
    for _ in range(3):
        page = api.get("/v1/jobs", query_string={"limit": 2} | ({"cursor": cursor} if cursor else {})).json
        listed += [job["id"] for job in page["data"]]
        cursor = page["next"]
        assert page["has_more"] is (cursor is not None)
    assert listed == made[::-1]


def test_lists_can_be_filtered(api: Api) -> None:
    job_id, _ = api.print_job()
    queued = api.make_job()
    assert [job["id"] for job in api.get("/v1/jobs?status=queued").json["data"]] == [queued["id"]]
    assert [job["id"] for job in api.get("/v1/jobs?status=succeeded&model=painted").json["data"]] == [str(job_id)]
    assert api.get("/v1/jobs?model=other").json["data"] == []


def test_a_forged_cursor_is_refused(plain: Api) -> None:
    for _ in range(2):
        plain.make_job()
    cursor = plain.get("/v1/jobs?limit=1").json["next"]
    refused = [
        plain.get("/v1/jobs", query_string={"cursor": forged}) for forged in ("", "x", cursor[:-1], cursor + "x")
    ]
    refused.append(plain.get("/v1/jobs", query_string={"cursor": cursor}, key=plain.make_key("bob")))
    assert {(answer.status_code, answer.json["code"], answer.json["detail"]) for answer in refused} == {
        (400, "invalid_cursor", refused[0].json["detail"])
    }


def test_a_canceled_job_stays_canceled(api: Api) -> None:
    job_id = api.make_job()["id"]
    for _ in range(2):
        answer = api.post(f"/v1/jobs/{job_id}/cancel")
        assert (answer.status_code, answer.json["status"]) == (200, "canceled")


def test_a_job_that_has_already_ended_cannot_be_canceled(api: Api) -> None:
    job_id, _ = api.print_job()
    answer = api.post(f"/v1/jobs/{job_id}/cancel")
    assert (answer.status_code, answer.json["code"]) == (409, "invalid_state")
    assert "succeeded" in answer.json["detail"]


def test_a_retry_is_a_new_job_with_the_same_request(api: Api) -> None:
    job = api.make_job(priority="bulk", deadline_s=60, metadata={"a": "b"})
    assert api.post(f"/v1/jobs/{job['id']}/retry").json["code"] == "invalid_state"
    api.post(f"/v1/jobs/{job['id']}/cancel")
    answer = api.post(f"/v1/jobs/{job['id']}/retry")
    again = answer.json
    assert (answer.status_code, again["status"], again["retry_of"]) == (202, "queued", job["id"])
    assert again["id"] != job["id"]
    assert all(again[name] == job[name] for name in ("request", "priority", "metadata"))
    assert again["deadline_at"] is not None
    assert api.notifier.notified[-1] == ("painted", UUID(again["id"]))


def test_a_retry_is_created_once_per_key(api: Api) -> None:
    job_id, _ = api.print_job()
    answers = [api.post(f"/v1/jobs/{job_id}/retry", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert answers[0].json["id"] == answers[1].json["id"]
    assert answers[1].headers["Idempotency-Replayed"] == "true"


def test_every_status_can_be_shown(api: Api) -> None:
    job_id = UUID(api.make_job()["id"])
    for status in JobStatus:
        factories.put(api.database, job_id, status)
        assert api.get(f"/v1/jobs/{job_id}").json["status"] == status


def test_each_attempt_says_what_it_spent_and_why_it_ended(api: Api) -> None:
    job_id = api.make_job()["id"]
    press_id = factories.press(api.database)
    for error in (InvalidPictureError(), None):
        factories.make_due(api.database, UUID(job_id))
        held = factories.claim(api.database, press_id)
        assert held is not None
        with api.database.transaction() as session:
            spent = Spent(1.0, phases={"denoise": 1.0})
            if error is not None:
                lifecycle.fail_job(session, held, error, spent)
            else:
                lifecycle.succeed_job(session, held, factories.images(held), spent)
    first, second = api.get(f"/v1/jobs/{job_id}/attempts").json["data"]
    assert (first["number"], first["outcome"], first["error_code"]) == (1, "retried", "invalid_picture")
    assert (second["number"], second["outcome"], second["error_code"]) == (2, "succeeded", None)
    assert second["phases"] == {"denoise": 1.0}
    assert second["press_id"] == str(press_id)
    assert second["ended_at"] is not None
