"""Jobs over HTTP, as a customer sees them."""

import io

import pytest
from PIL import Image

from common.states.jobs import JobStatus, Outcome
from tests.functional.stack import LEASE_SECONDS, STEP_SECONDS, Stack
from tests.support.waiting import until
from worker.engine.painted import MOST_ROWS

LONG = {"steps": 150, "num_images": MOST_ROWS}
"""Seven seconds of work, which takes all of a press."""


def test_a_job_produces_images_that_a_link_and_a_key_can_fetch(stack: Stack) -> None:
    client = stack.client()
    job = client.wait(client.order(num_images=2, output_format="webp", seed=11))
    assert job["status"] == "succeeded"
    assert job["progress"] == {"step": 2, "steps": 2}
    assert [image["seed"] for image in job["images"]] == [11, 12]
    for image in job["images"]:
        linked = client.stranger.get(image["url"])
        assert linked.status_code == 200
        assert linked.headers["content-type"] == "image/webp"
        assert len(linked.content) == image["bytes"]
        fetched = client.http.get(f"/v1/images/{image['id']}/content", follow_redirects=False)
        if fetched.is_redirect:
            fetched = client.stranger.get(fetched.headers["location"])
        assert fetched.content == linked.content
        with Image.open(io.BytesIO(linked.content)) as picture:
            assert picture.size == (64, 64)


def test_every_image_has_a_thumbnail(stack: Stack) -> None:
    client = stack.client()
    job = client.wait(client.order(width=512, height=256))
    (image,) = job["images"]
    linked = client.stranger.get(image["thumbnail_url"])
    with Image.open(io.BytesIO(linked.content)) as small:
        assert (small.format, small.size) == ("WEBP", (256, 128))


def test_every_image_has_a_price_and_the_job_their_sum(stack: Stack) -> None:
    client = stack.client()
    job = client.wait(client.order(num_images=3, steps=4))
    amounts = [float(image["cost"]["amount"]) for image in job["images"]]
    assert all(amount > 0 for amount in amounts)
    assert float(job["cost"]["amount"]) == pytest.approx(sum(amounts))
    assert job["cost"]["gpu_seconds"] >= 4 * STEP_SECONDS, "the three share each step"


def test_a_client_that_prefers_to_wait_receives_the_images(stack: Stack) -> None:
    client = stack.client()
    body = {"prompt": "a lighthouse", "width": 64, "height": 64, "steps": 2}
    job = client.post("/v1/jobs", status=200, headers={"Prefer": "wait=60"}, **body)
    client.accepted.append(job["id"])
    assert job["status"] == "succeeded"
    assert len(job["images"]) == 1


def test_a_request_sent_twice_with_one_key_creates_one_job(stack: Stack) -> None:
    client = stack.client()
    headers = {"Idempotency-Key": "order-1"}
    assert client.order(headers=headers) == client.order(headers=headers)
    client.accepted.pop()


def test_a_running_job_shows_its_progress_and_stops_soon_after_it_is_canceled(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(**LONG)
    until(lambda: client.job(job_id)["progress"]["step"] > 5, "progress")
    canceled = client.post(f"/v1/jobs/{job_id}/cancel", status=200)
    assert canceled["status"] == "canceled"
    following = client.order()
    client.wait(following)

    (next_attempt,) = stack.attempts(following)
    (row,) = stack.rows(job_id)
    assert row.finished_at is not None
    waited = (next_attempt.started_at - row.finished_at).total_seconds()
    assert waited < 1 + STEP_SECONDS + 2, "a second, a step, and what a busy machine may add"
    (attempt,) = stack.attempts(job_id)
    assert attempt.outcome is Outcome.CANCELED
    assert 0 < attempt.gpu_seconds < LONG["steps"] * STEP_SECONDS
    assert client.job(job_id)["images"] == []


def test_a_client_following_a_job_receives_every_event_and_then_the_images(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(steps=40, num_images=2)
    with client.http.sse(f"/v1/jobs/{job_id}/events") as source:
        events = [event for event in source if event.data]
    told = [(event.event, event.json()) for event in events]
    statuses = [data["status"] for name, data in told if name == "status"]
    assert statuses == ["queued", "running", "succeeded"][-len(statuses) :]
    assert "running" in statuses
    steps = [data["step"] for name, data in told if name == "progress"]
    assert steps
    assert steps == sorted(set(steps))
    *_, first, second, (last, job) = told
    assert [(name, data["index"]) for name, data in (first, second)] == [("image", 0), ("image", 1)]
    assert (last, job["status"]) == ("job", "succeeded")
    for image in job["images"]:
        assert client.stranger.get(image["url"]).status_code == 200
    with client.http.sse(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": events[0].id}) as source:
        again = [event.id for event in source if event.event != "progress" and event.data]
    assert again == [event.id for event in events[1:] if event.event != "progress"]


def test_a_queued_job_can_be_canceled_and_is_never_printed(stack: Stack) -> None:
    client = stack.client()
    first = client.order(**LONG)
    until(lambda: stack.count(JobStatus.RUNNING, [first]), "the press to be busy")
    second = client.order()
    assert client.post(f"/v1/jobs/{second}/cancel", status=200)["status"] == "canceled"
    client.post(f"/v1/jobs/{first}/cancel", status=200)
    assert stack.attempts(second) == []


def test_a_finished_job_cannot_be_canceled(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order()
    client.wait(job_id)
    assert client.post(f"/v1/jobs/{job_id}/cancel", status=409)["code"] == "invalid_state"


def test_a_job_past_its_deadline_expires_running_or_queued(stack: Stack) -> None:
    client = stack.client()
    running = client.order(deadline_s=1, **LONG)
    queued = client.order(deadline_s=1, steps=150)
    for job_id in (running, queued):
        job = client.wait(job_id)
        assert (job["status"], job["error"]["code"]) == ("expired", "deadline_exceeded")


def test_a_canceled_job_can_be_retried_as_a_new_job(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(seed=5, **LONG)
    client.post(f"/v1/jobs/{job_id}/cancel", status=200)
    again = client.post(f"/v1/jobs/{job_id}/retry", status=202)
    client.accepted.append(again["id"])
    assert again["id"] != job_id
    assert again["retry_of"] == job_id
    assert again["request"]["seed"] == 5
    client.post(f"/v1/jobs/{again['id']}/cancel", status=200)


def test_owners_cannot_see_each_others_jobs(stack: Stack) -> None:
    ada, grace = stack.client("ada"), stack.client("grace")
    job = ada.wait(ada.order())
    assert grace.http.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert grace.http.get(f"/v1/images/{job['images'][0]['id']}/content").status_code == 404


def test_a_press_may_print_longer_than_its_lease(stack: Stack) -> None:
    client = stack.client()
    job_id = client.order(steps=int(1.5 * LEASE_SECONDS / STEP_SECONDS))
    job = client.wait(job_id)
    assert job["status"] == JobStatus.SUCCEEDED
    assert len(stack.attempts(job_id)) == 1


def test_a_key_created_on_the_command_line_is_accepted(stack: Stack) -> None:
    key = stack.command("keys", "create", "--name", "visitor").strip()
    answer = stack.client().stranger.get(
        f"{stack.settings.base_url}/v1/jobs", headers={"Authorization": f"Bearer {key}"}
    )
    assert answer.status_code == 200
    assert answer.json()["data"] == []
