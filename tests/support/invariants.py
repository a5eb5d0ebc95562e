"""What must hold of the whole, whatever was done to it: no job lost, none delivered twice, every second booked."""

import hashlib
import io
import json
import re
from collections import defaultdict
from collections.abc import Collection
from uuid import UUID

from PIL import Image as Pillow
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from common.db.engine import Database
from common.images.quarantine_encryption import FilePart
from common.states.jobs import ImageStatus, JobStatus, Outcome, Verdict, compute_job_version
from common.states.webhooks import EVENT_OF_STATUS, TERMINAL_EVENTS, EndpointStatus
from common.storage.keys import build_quarantine_key
from common.storage.port import Storage
from common.tables import (
    Asset,
    Attempt,
    Image,
    Job,
    Press,
    QuarantinedImage,
    WebhookAttempt,
    WebhookEndpoint,
    WebhookMessage,
)
from common.tables.webhooks import DIRECT_URL
from common.usage import operator_report
from common.usage.lines import DELIVERED
from tests.support.campaigns import invariants

MARK = b"trainedAlgorithmicMedia"
OBJECT = re.compile(r"owners/(?P<owner>[^/]+)/jobs/(?P<job>[^/]+)/a(?P<attempt>\d+)/[^/]+")
LEDGER_TOLERANCE = 0.01
ROUNDING_SECONDS = 0.005

LAST_OUTCOME = {
    JobStatus.SUCCEEDED: {Outcome.SUCCEEDED},
    JobStatus.FAILED: {Outcome.FAILED, Outcome.BLOCKED, Outcome.LOST, Outcome.FENCED},
    JobStatus.CANCELED: {Outcome.CANCELED, Outcome.RETRIED, Outcome.RELEASED, Outcome.LOST, Outcome.FENCED},
    JobStatus.EXPIRED: {Outcome.EXPIRED, Outcome.RETRIED, Outcome.RELEASED, Outcome.LOST, Outcome.FENCED},
}
"""How the last attempt at a job may have ended; one given up while it was queued again ends as its attempt did."""

KEPT_BACK = {ImageStatus.BLOCKED, ImageStatus.QUARANTINED}

EARLIER_OUTCOMES = {Outcome.LOST, Outcome.FENCED, Outcome.RELEASED, Outcome.RETRIED, Outcome.BLOCKED}


def check(
    database: Database, storage: Storage, *, accepted: Collection[UUID], verified: set[str] | None = None
) -> None:
    """Fail unless everything that was accepted has ended, and ended well formed.

    Objects whose keys are in *verified* are only looked for, not read again; the keys of the others are added.
    """
    with database.reading() as session:
        jobs = {job.id: job for job in session.scalars(select(Job))}
        _check_jobs(jobs, accepted)
        _check_attempts(session, jobs)
        images = list(session.scalars(select(Image)))
        _check_images(session, jobs, images)
        _check_ledger(session, images)
        _check_messages(session, jobs)
        invariants.check(session)
        attempts = {(row.job_id, row.number): row.outcome for row in session.scalars(select(Attempt))}
        known = {image.storage_key for image in images} | {image.thumbnail_key for image in images}
        known |= set(session.scalars(select(Asset.storage_key)))
        sealed = session.scalars(select(QuarantinedImage.image_id).where(QuarantinedImage.collected_at.is_(None)))
        known |= {build_quarantine_key(image_id, part) for image_id in sealed for part in FilePart}
    _check_objects(storage, images, set() if verified is None else verified)
    _check_nothing_else_is_stored(storage, known, attempts)


def _check_jobs(jobs: dict[UUID, Job], accepted: Collection[UUID]) -> None:
    lost = set(accepted) - {job.id for job in jobs.values() if job.status.is_terminal}
    assert not lost, f"lost: {lost}"
    unexpected = {job.id for job in jobs.values() if job.campaign_id is None} - set(accepted)
    assert not unexpected, f"nobody ordered {unexpected}"
    for job in jobs.values():
        assert job.finished_at is not None
        assert job.lease_until is None
        assert (job.status is JobStatus.SUCCEEDED) == (job.error_code is None) or job.status is JobStatus.CANCELED


def _check_attempts(session: Session, jobs: dict[UUID, Job]) -> None:
    numbers: dict[UUID, list[Attempt]] = defaultdict(list)
    for row in session.scalars(select(Attempt).order_by(Attempt.number)):
        numbers[row.job_id].append(row)
        assert row.gpu_seconds >= 0
        assert row.ended_at is not None
    for job in jobs.values():
        attempts = numbers[job.id]
        assert [row.number for row in attempts] == list(range(1, job.attempt + 1)), "one ledger row for each attempt"
        if attempts:
            assert attempts[-1].outcome in LAST_OUTCOME[job.status], (job.status, attempts[-1].outcome)
        assert {row.outcome for row in attempts[:-1]} <= EARLIER_OUTCOMES


def _check_images(session: Session, jobs: dict[UUID, Job], images: list[Image]) -> None:
    by_job: dict[UUID, list[Image]] = defaultdict(list)
    for image in images:
        job = jobs[image.job_id]
        by_job[job.id].append(image)
        assert image.owner == job.owner
        assert image.attempt == job.attempt, "only the last attempt may publish"
        if image.status.is_readable:
            assert image.verdict in (Verdict.PASS, Verdict.REVIEW) or _is_released(image)
        if image.status is ImageStatus.ERASED:
            assert (image.storage_key, image.thumbnail_key) == (None, None)
        if not _was_published(image) or _is_released(image):
            assert image.amount == 0
    for job in jobs.values():
        found = by_job[job.id]
        is_complete = job.status is JobStatus.SUCCEEDED or job.error_code == "content_blocked"
        assert sorted(image.position for image in found) == (list(range(job.num_images)) if is_complete else [])
        if job.status is JobStatus.SUCCEEDED:
            assert any(_was_published(image) for image in found)
        else:
            assert all(image.status in KEPT_BACK or _is_released(image) for image in found)


def _was_published(image: Image) -> bool:
    return image.status in DELIVERED


def _is_released(image: Image) -> bool:
    return image.released_at is not None


def _check_ledger(session: Session, images: list[Image]) -> None:
    """Images + named waste + named overhead = what the presses were busy."""
    busy = overhead = waste = 0.0
    for press in session.scalars(select(Press)):
        busy += press.busy_seconds
        overhead += sum(press.overhead.values())
    published = [image for image in images if _was_published(image) and not _is_released(image)]
    charged = sum(image.gpu_seconds + image.overrun_seconds for image in published)
    of_success = 0.0
    for attempt in session.scalars(select(Attempt)):
        if attempt.outcome is Outcome.SUCCEEDED:
            of_success += attempt.gpu_seconds
        else:
            waste += attempt.gpu_seconds
    blocked_beside_delivered = of_success - charged
    assert blocked_beside_delivered >= -ROUNDING_SECONDS * (1 + len(images))
    total = charged + waste + blocked_beside_delivered + overhead
    assert abs(total - busy) <= LEDGER_TOLERANCE * busy + ROUNDING_SECONDS, (
        f"images {charged:.3f} + waste {waste:.3f} + blocked {blocked_beside_delivered:.3f} "
        f"+ overhead {overhead:.3f} is not busy {busy:.3f}"
    )
    carried = operator_report.build_operator_report(session, *operator_report.WHOLE_TIME).total.carried
    assert abs(carried - (busy - total)) <= ROUNDING_SECONDS, "the house's account is not that of the rows"
    delivered = {image.job_id for image in images if image.status not in KEPT_BACK and not _is_released(image)}
    blocked = {image.job_id for image in images if image.status in KEPT_BACK or _is_released(image)}
    if not blocked & delivered:
        assert abs(blocked_beside_delivered) <= ROUNDING_SECONDS * (1 + len(images)), "attempts and images disagree"


def _check_messages(session: Session, jobs: dict[UUID, Job]) -> None:
    """The end of a job is owed to each endpoint that wants it, once, and nothing is owed that has not happened."""
    told: dict[tuple[UUID, UUID], list[WebhookMessage]] = defaultdict(list)
    for message in session.scalars(select(WebhookMessage)):
        assert message.tries == len(session.scalars(_tries_at(message)).all()), "one row for each try"
        if message.job_id is None:
            continue
        job, body = jobs[message.job_id], json.loads(message.body)
        assert job.campaign_id is None, "a campaign tells of its jobs in sum"
        assert (message.owner, body["type"]) == (job.owner, message.event)
        assert body["data"]["version"] <= compute_job_version(job.status, job.attempt), "owed before it was true"
        if message.event in TERMINAL_EVENTS:
            assert message.event == EVENT_OF_STATUS[job.status]
            told[message.endpoint_id, job.id].append(message)
    assert all(len(messages) == 1 for messages in told.values()), "one message an end"
    live = select(WebhookEndpoint).where(WebhookEndpoint.status == EndpointStatus.ENABLED)
    for endpoint in session.scalars(live):
        for job in jobs.values():
            names_it = endpoint.url != DIRECT_URL or job.webhook_url is not None
            events = (job.webhook_events or TERMINAL_EVENTS) if endpoint.url == DIRECT_URL else endpoint.events
            is_earlier = job.finished_at is not None and endpoint.created_at < job.finished_at
            is_owed = names_it and is_earlier and job.campaign_id is None and job.owner == endpoint.owner
            if is_owed and EVENT_OF_STATUS[job.status] in events:
                assert told[endpoint.id, job.id], "an end that nobody was told of"


def _tries_at(message: WebhookMessage) -> Select[int]:
    return select(WebhookAttempt.number).where(WebhookAttempt.message_id == message.id)


def _check_objects(storage: Storage, images: list[Image], verified: set[str]) -> None:
    stored = set(storage.list_keys(""))
    for image in images:
        if not image.status.is_readable:
            continue
        assert image.storage_key is not None
        assert image.thumbnail_key is not None
        assert {image.storage_key, image.thumbnail_key} <= stored
        if image.storage_key in verified:
            continue
        verified.add(image.storage_key)
        data = storage.get(image.storage_key)
        assert (len(data), hashlib.sha256(data).hexdigest()) == (image.bytes, image.sha256)
        with Pillow.open(io.BytesIO(data)) as picture:
            picture.load()
            assert picture.size == (image.width, image.height)
        assert MARK in data
        thumbnail = storage.get(image.thumbnail_key)
        with Pillow.open(io.BytesIO(thumbnail)) as small:
            small.load()
            assert max(small.size) <= 256
        assert MARK in thumbnail


def _check_nothing_else_is_stored(
    storage: Storage, known: set[str | None], attempts: dict[tuple[UUID, int], Outcome]
) -> None:
    """Objects without a row may lie only under the prefix of an attempt that published nothing."""
    for key in storage.list_keys(""):
        if key in known:
            continue
        found = OBJECT.fullmatch(key)
        assert found, f"nobody knows the object {key}"
        outcome = attempts[UUID(found["job"]), int(found["attempt"])]
        assert outcome not in (Outcome.SUCCEEDED, Outcome.BLOCKED), f"{key} has no row"
