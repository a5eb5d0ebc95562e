"""The story of a job, moment by moment, as far as the rows tell it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from api.images.schemas import Image
from common.tables import Attempt, Job, WebhookAttempt, WebhookMessage
from common.tables.states import JobStatus, Outcome

ENDS = {
    Outcome.SUCCEEDED: "finished",
    Outcome.BLOCKED: "ended: the safety check let no image through",
    Outcome.FAILED: "failed for good",
    Outcome.RETRIED: "failed, and the job went back to the queue",
    Outcome.RELEASED: "was given back: its press was stopping",
    Outcome.LOST: "was lost: its press died or fell silent",
    Outcome.FENCED: "came too late: another had taken over",
    Outcome.CANCELED: "was canceled",
    Outcome.EXPIRED: "ran out of time",
}


class Moment(NamedTuple):
    """Something that happened; *kind* gives it its colour."""

    at: datetime
    kind: str
    title: str
    detail: str = ""


def tell(
    job: Job,
    attempts: Sequence[Attempt],
    images: Sequence[Image],
    messages: Sequence[WebhookMessage],
    tries: Mapping[UUID, Sequence[WebhookAttempt]],
) -> list[Moment]:
    """Return what happened to a job, in order."""
    moments = [Moment(job.created_at, "queued", "Queued", f"{job.priority}, {job.num_images} of {job.model}")]
    for attempt in attempts:
        moments += _tell_attempt(attempt, job)
    moments += _tell_images(job, images)
    for message in messages:
        moments += _tell_message(message, tries.get(message.id, ()))
    if job.finished_at is not None:
        # The attempt's own end is written a little later, by the same transaction.
        at = max([job.finished_at, *(attempt.ended_at for attempt in attempts[-1:] if attempt.ended_at)])
        moments.append(Moment(at, str(job.status), str(job.status).capitalize(), job.error_message or ""))
    return sorted(moments, key=lambda moment: moment.at)


def _tell_attempt(attempt: Attempt, job: Job) -> list[Moment]:
    told = [
        Moment(
            attempt.started_at,
            "running",
            f"Claimed for attempt {attempt.number}",
            f"press …{str(attempt.press_id)[-8:]}",
        )
    ]
    if attempt.outcome is Outcome.RUNNING:
        if job.progress_step:
            last = Moment(attempt.started_at, "running", f"Step {job.progress_step} of {job.steps}")
            told.append(last)
    elif attempt.ended_at is not None:
        kind = "succeeded" if attempt.outcome is Outcome.SUCCEEDED else "failed"
        spent = f"{attempt.gpu_seconds:.2f} accelerator seconds"
        detail = f"{attempt.error_code}, {spent}" if attempt.error_code else spent
        told.append(Moment(attempt.ended_at, kind, f"Attempt {attempt.number} {ENDS[attempt.outcome]}", detail))
    return told


def _tell_images(job: Job, images: Sequence[Image]) -> list[Moment]:
    if not images or job.finished_at is None or job.status not in (JobStatus.SUCCEEDED, JobStatus.FAILED):
        return []
    at = min(image.created_at for image in images)
    verdicts = ", ".join(f"{image.index + 1}: {image.safety.verdict}" for image in images)
    stored = sum(image.url is not None for image in images)
    told = [Moment(min(at, job.finished_at), "running", "Steps done, prints checked", verdicts)]
    if stored:
        told.append(Moment(job.finished_at, "running", f"Uploaded {stored} of {len(images)}"))
    return told


def _tell_message(message: WebhookMessage, tries: Sequence[WebhookAttempt]) -> list[Moment]:
    told = []
    for attempt in tries:
        answer = f"HTTP {attempt.status}" if attempt.status else ""
        outcome = ", ".join(filter(None, (attempt.error or ("delivered" if answer else "under way"), answer)))
        kind = "failed" if attempt.error else "succeeded"
        told.append(Moment(attempt.started_at, kind, f"Webhook {message.event}, try {attempt.number}", outcome))
    return told
