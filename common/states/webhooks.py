"""The enumerations of webhooks: events, endpoint and message states, failures."""

from collections.abc import Sequence
from enum import StrEnum

from common.states.jobs import JobStatus


class EventType(StrEnum):
    """The event types of webhook messages."""

    JOB_STARTED = "job.started"  # sent for each attempt, so more than once if a press was lost
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_EXPIRED = "job.expired"
    CAMPAIGN_PROGRESS = "campaign.progress"  # at intervals
    CAMPAIGN_COMPLETED = "campaign.completed"  # every print has ended, and some were delivered
    CAMPAIGN_HELD = "campaign.held"  # it stopped by itself and waits for its owner
    CAMPAIGN_FAILED = "campaign.failed"  # its deadline passed first, or nothing could be printed
    IMAGE_RELEASED = "image.released"  # a reviewer released a blocked image from quarantine
    WEBHOOK_TEST = "webhook.test"  # sent when its owner asks for it


EVENT_OF_STATUS = {
    JobStatus.RUNNING: EventType.JOB_STARTED,
    JobStatus.SUCCEEDED: EventType.JOB_SUCCEEDED,
    JobStatus.FAILED: EventType.JOB_FAILED,
    JobStatus.CANCELED: EventType.JOB_CANCELED,
    JobStatus.EXPIRED: EventType.JOB_EXPIRED,
}
"""The event for each new status; a job that is queued again has no event."""

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
    """Whether messages are sent to an endpoint."""

    ENABLED = "enabled"
    DISABLED = "disabled"  # see DisabledReason


class DisabledReason(StrEnum):
    """Why an endpoint is disabled."""

    OWNER = "owner"
    GONE = "gone"  # it responded with 410
    FAILING = "failing"  # only failures for a day


class MessageState(StrEnum):
    """The state of a message."""

    PENDING = "pending"  # waits for its next attempt, or is being sent
    DELIVERED = "delivered"  # the receiver responded with 2xx
    EXHAUSTED = "exhausted"  # every attempt failed; it can be resent
    CANCELED = "canceled"  # its endpoint was disabled, or its receiver responded with 410; it can be resent


class Failure(StrEnum):
    """Why an attempt failed; reveals nothing about the operator's network."""

    NOT_ALLOWED = "destination_not_allowed"
    UNRESOLVED = "unresolved"  # the host name does not resolve now
    CONNECT = "connect_failed"
    TLS = "tls_failed"
    TIMEOUT = "timeout"
    BROKEN = "connection_broken"
    PROTOCOL = "invalid_response"
    REDIRECT = "redirect"  # never followed
    GONE = "gone"
    STATUS = "unwelcome_status"
    INTERRUPTED = "interrupted"  # the clerk ended before it knew the result; the message may have arrived
    UNREADABLE = "secret_unreadable"  # the signing secret of the service has changed; rotate the endpoint's


def parse_events(stored: Sequence[str]) -> tuple[EventType, ...]:
    """Read events back from their JSON column."""
    return tuple(map(EventType, stored))
