"""The states of jobs, images and attempts, and their transitions."""

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job; the last four are final."""

    QUEUED = "queued"  # waits for a press, or for its next attempt
    RUNNING = "running"  # a press holds its lease
    SUCCEEDED = "succeeded"  # its images are published
    FAILED = "failed"  # ended without images; error says why
    CANCELED = "canceled"  # by its owner
    EXPIRED = "expired"  # its deadline passed first

    @property
    def is_terminal(self) -> bool:
        """Return whether no move leads out of this state."""
        return self in TERMINAL


JOB_TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELED, JobStatus.EXPIRED}),
    JobStatus.RUNNING: frozenset(
        {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED, JobStatus.QUEUED}
    ),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELED: frozenset(),
    JobStatus.EXPIRED: frozenset(),
}
"""Every move a job may make; ``common.jobs.lifecycle`` is the only module that makes them."""

TERMINAL = frozenset(status for status, targets in JOB_TRANSITIONS.items() if not targets)


def compute_job_version(status: JobStatus, attempt: int) -> int:
    """Return a number that grows with every transition of a job, so that reports of one job can be put in order."""
    return 2 * attempt + (-1 if status is JobStatus.RUNNING else 1 if status.is_terminal else 0)


def list_job_source_statuses(target: JobStatus) -> frozenset[JobStatus]:
    """Return the states from which *target* can be reached in one move."""
    return frozenset(source for source, targets in JOB_TRANSITIONS.items() if target in targets)


class Priority(StrEnum):
    """The two classes of work; interactive is always claimed first."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class ImageStatus(StrEnum):
    """The status of one image of a finished job."""

    DELIVERED = "delivered"  # published as generated
    BLURRED = "blurred"  # published, blurred by the safety policy
    BLOCKED = "blocked"  # refused by the checker: never stored, never priced
    QUARANTINED = "quarantined"  # kept encrypted for review
    ERASED = "erased"  # its object was deleted by its owner or by retention

    @property
    def is_readable(self) -> bool:
        """Return whether an object that its owner may read exists."""
        return self in (ImageStatus.DELIVERED, ImageStatus.BLURRED)


IMAGE_TRANSITIONS: dict[ImageStatus, frozenset[ImageStatus]] = {
    ImageStatus.DELIVERED: frozenset({ImageStatus.ERASED}),
    ImageStatus.BLURRED: frozenset({ImageStatus.ERASED}),
    ImageStatus.BLOCKED: frozenset({ImageStatus.ERASED}),
    ImageStatus.QUARANTINED: frozenset({ImageStatus.DELIVERED, ImageStatus.BLOCKED, ImageStatus.ERASED}),
    ImageStatus.ERASED: frozenset(),
}
"""Every move an image may make once its job has ended; PostgreSQL holds it too."""


class Outcome(StrEnum):
    """How an attempt ended; usage reports list all but ``succeeded`` as waste, by this name."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # a permanent error of the job
    BLOCKED = "blocked"  # the checker refused every image
    RETRIED = "retried"  # a transient error: the job went back to the queue
    RELEASED = "released"  # the press returned it while shutting down
    LOST = "lost"  # the lease expired: the press died, hung or lost its connection
    CANCELED = "canceled"
    EXPIRED = "expired"
    FENCED = "fenced"  # finished after another attempt had started


class Verdict(StrEnum):
    """The result of the safety check of one image."""

    PASS = "pass"  # noqa: S105  (a verdict, not a password)
    REVIEW = "review"  # in the band between the two thresholds: delivered and flagged, or blurred
    BLOCK = "block"
    UNCHECKED = "unchecked"  # not checked: the operator has switched safety off


class SafetyMode(StrEnum):
    """Whether images are checked at all; recorded on every image."""

    ON = "on"
    OFF = "off"  # by two settings of the operator
