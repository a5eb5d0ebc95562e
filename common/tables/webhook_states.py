"""The enumerations of webhooks: events, endpoint and message states, failures."""

from collections.abc import Sequence
from enum import StrEnum

from common.tables.states import JobStatus


class EventType(StrEnum):
    """What a message may be about."""

    JOB_STARTED = "job.started"  # an attempt has begun; a job whose press was lost starts more than once
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_EXPIRED = "job.expired"
    CAMPAIGN_PROGRESS = "campaign.progress"  # a digest, now and then
    CAMPAIGN_COMPLETED = "campaign.completed"  # every print has come to an end, and some were made
    CAMPAIGN_HELD = "campaign.held"  # it stopped by itself, and waits for its owner
    CAMPAIGN_FAILED = "campaign.failed"  # its deadline passed first, or nothing could be printed
    IMAGE_RELEASED = "image.released"  # a reviewer let a blocked image out of quarantine
    WEBHOOK_TEST = "webhook.test"  # sent when its owner asks for it


EVENT_OF_STATUS = {
    JobStatus.RUNNING: EventType.JOB_STARTED,
    JobStatus.SUCCEEDED: EventType.JOB_SUCCEEDED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.CANCELED: EventType.JOB_CANCELED,
    JobStatus.EXPIRED: EventType.JOB_EXPIRED,
}
"""The event of each move that is one; a job that is queued again is none."""

JOB_EVENTS = (*EVENT_OF_STATUS.values(), EventType.IMAGE_RELEASED)
"""The events of a job."""

CAMPAIGN_EVENTS = tuple(event for event in EventType if event.startswith("campaign."))
"""The events of a campaign; its jobs do not send events of their own."""

TERMINAL_EVENTS = tuple(event for status, event in EVENT_OF_STATUS.items() if status.is_terminal)
"""Default events of a job's own webhook URL."""

USUAL_EVENTS = (
    *TERMINAL_EVENTS,
    EventType.IMAGE_RELEASED,
    EventType.CAMPAIGN_COMPLETED,
    EventType.CAMPAIGN_HELD,
    EventType.CAMPAIGN_FAILED,
)
"""Default events of an endpoint."""


class EndpointStatus(StrEnum):
    """Whether messages go to an endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # by its owner, by its answer 410, or by the breaker; the reason says which


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    OWNER = "owner"
    GONE = "gone"  # it answered 410
    FAILING = "failing"  # nothing but failures for a day


class MessageState(StrEnum):
    """The state of a message."""

    PENDING = "pending"  # waits for its next try, or is being tried
    DELIVERED = "delivered"  # the receiver answered 2xx
    EXHAUSTED = "exhausted"  # every try failed; it can be sent again
    CANCELED = "canceled"  # its endpoint was disabled, or its receiver answered 410; likewise


class Failure(StrEnum):
    """Why a try failed, in words that reveal nothing about the operator's network."""

    NOT_ALLOWED = "destination_not_allowed"
    UNRESOLVED = "unresolved"  # the name has no address just now
    CONNECT = "connect_failed"
    TLS = "tls_failed"
    TIMEOUT = "timeout"
    BROKEN = "connection_broken"
    PROTOCOL = "invalid_response"
    REDIRECT = "redirect"  # never followed
    GONE = "gone"
    STATUS = "unwelcome_status"
    INTERRUPTED = "interrupted"  # the clerk that tried ended before it could tell; the message may have arrived
    UNREADABLE = "secret_unreadable"  # the signing secret of the service has changed; rotate the endpoint's


def parse_events(stored: Sequence[str]) -> tuple[EventType, ...]:
    """Read events back from their JSON column."""
    return tuple(map(EventType, stored))
