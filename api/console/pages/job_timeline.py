"""The timeline of a job, built from its attempts, images and webhook messages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from api.images.schemas import Image
from common.states.jobs import JobStatus, Outcome
from common.tables import Attempt, Job, WebhookAttempt, WebhookMessage

OUTCOME_LABELS = {
    Outcome.SUCCEEDED: "finished",
    Outcome.BLOCKED: "ended: the safety check blocked all images",
    Outcome.FAILED: "failed permanently",
    Outcome.RETRIED: "failed; the job was requeued",
    Outcome.RELEASED: "was released because its press was stopping",
    Outcome.LOST: "was lost because its press stopped responding",
    Outcome.FENCED: "was superseded by a later attempt",
    Outcome.CANCELED: "was canceled",
    Outcome.EXPIRED: "timed out",
}


class TimelineEntry(NamedTuple):
    """An event in the timeline; *kind* selects its colour."""

    at: datetime
    kind: str
    title: str
    detail: str = ""


def build_timeline(
    job: Job,
    attempts: Sequence[Attempt],
    images: Sequence[Image],
    messages: Sequence[WebhookMessage],
    tries: Mapping[UUID, Sequence[WebhookAttempt]],
) -> list[TimelineEntry]:
    """Return the events of a job in order."""
    moments = [TimelineEntry(job.created_at, "queued", "Queued", f"{job.priority}, {job.num_images} of {job.model}")]
    for attempt in attempts:
        moments += _list_attempt_entries(attempt, job)
    moments += _list_image_entries(job, images)
    for message in messages:
        moments += _list_message_entries(message, tries.get(message.id, ()))
    if job.finished_at is not None:
        # The same transaction writes the attempt's end slightly later.
        at = max([job.finished_at, *(attempt.ended_at for attempt in attempts[-1:] if attempt.ended_at)])
        moments.append(TimelineEntry(at, str(job.status), str(job.status).capitalize(), job.error_message or ""))
    return sorted(moments, key=lambda moment: moment.at)


def _list_attempt_entries(attempt: Attempt, job: Job) -> list[TimelineEntry]:
    told = [
        TimelineEntry(
            attempt.started_at,
            "running",
            f"Claimed for attempt {attempt.number}",
            f"press …{str(attempt.press_id)[-8:]}",
        )
    ]
    if attempt.outcome is Outcome.RUNNING:
        if job.progress_step:
            last = TimelineEntry(attempt.started_at, "running", f"Step {job.progress_step} of {job.steps}")
            told.append(last)
    elif attempt.ended_at is not None:
        kind = "succeeded" if attempt.outcome is Outcome.SUCCEEDED else "failed"
        spent = f"{attempt.gpu_seconds:.2f} accelerator seconds"
        detail = f"{attempt.error_code}, {spent}" if attempt.error_code else spent
        told.append(
            TimelineEntry(attempt.ended_at, kind, f"Attempt {attempt.number} {OUTCOME_LABELS[attempt.outcome]}", detail)
        )
    return told


def _list_image_entries(job: Job, images: Sequence[Image]) -> list[TimelineEntry]:
    if not images or job.finished_at is None or job.status not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        return []
    at = min(image.created_at for image in images)
    verdicts = ", ".join(f"{image.index + 1}: {image.safety.verdict}" for image in images)
    stored = sum(image.url is not None for image in images)
    told = [TimelineEntry(min(at, job.finished_at), "running", "Steps done, images checked", verdicts)]
    if stored:
        told.append(TimelineEntry(job.finished_at, "running", f"Uploaded {stored} of {len(images)}"))
    return told


def _list_message_entries(message: WebhookMessage, tries: Sequence[WebhookAttempt]) -> list[TimelineEntry]:
    told = []
    for attempt in tries:
        answer = f"HTTP {attempt.status}" if attempt.status else ""
        outcome = ", ".join(filter(None, (attempt.error or ("delivered" if answer else "in progress"), answer)))
        kind = "failed" if attempt.error else "succeeded"
        title = f"Webhook {message.event}, attempt {attempt.number}"
        told.append(TimelineEntry(attempt.started_at, kind, title, outcome))
    return told
