"""Celery consumer that keeps working after a broker restart and drops malformed messages.

kombu counts a message against the prefetch limit until it is acknowledged. If an acknowledgement fails because Redis
is unavailable, the message stays counted forever; once the last credit is gone, the consumer never polls again and the
press receives no more work. A message here is only a notification, so a lost acknowledgement does no harm: the credit
is released.

Celery also trusts the queue's contents: a message that is not JSON, or has an unexpected shape, ends the worker. So
each message is validated before Celery sees it, and anything else is dropped, which loses no work.
"""

import base64
from typing import Any, Literal

from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel, QoS, Transport
from kombu.transport.virtual.base import Message
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from redis.exceptions import RedisError

from common.logs import get_logger

LONGEST_BODY = 4096
"""Maximum message size in bytes; a notification carries one id."""

Embedded = dict[Literal["callbacks", "errbacks", "chain", "chord"], None]
BODY = TypeAdapter(tuple[tuple[str], dict[str, None], Embedded])

log = get_logger(__name__)


class Headers(BaseModel):
    """Headers that Celery reads before it runs a task; a notification has no ETA, expiry or compression."""

    task: Literal["hear-bell"]
    id: str = Field(max_length=64)
    eta: None = None
    expires: None = None
    compression: None = None
    timelimit: tuple[None, None] | None = None


class Properties(BaseModel):
    """Properties that kombu reads to track delivery."""

    delivery_tag: str = Field(max_length=64)
    delivery_info: dict[str, Any]
    body_encoding: Literal["base64"]


class Envelope(BaseModel):
    """A notification as it is stored in Redis."""

    headers: Headers
    properties: Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str = Field(max_length=LONGEST_BODY)


class JobMessage(Message):
    """A message validated in every part that Celery and kombu read; raises ValueError if any part is invalid."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        envelope = Envelope.model_validate(payload)
        BODY.validate_json(base64.b64decode(envelope.body, validate=True))
        super().__init__(payload, channel=channel, **options)


class ForgivingQoS(QoS):
    """Release a message's prefetch credit even if the acknowledgement does not reach Redis."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. Never raises."""
        try:
            super().ack(delivery_tag)
        except (RedisError, OperationalError, OSError) as error:
            log.warning("notification_not_acknowledged", reason=type(error).__name__)
            self._quick_ack(delivery_tag)  # type: ignore[attr-defined]  # the stubs leave it out


class StrictChannel(Channel):
    """Receive notifications and drop malformed messages."""

    QoS = ForgivingQoS
    Message = JobMessage

    def _brpop_read(self, **options: Any) -> bool | None:
        """Handle one message. It has already been removed from the queue, valid or not."""
        try:
            heard: bool = super()._brpop_read(**options)  # type: ignore[misc]  # the stubs leave it out
        except (ValueError, RecursionError) as error:  # includes ValidationError and the errors of json and base64
            log.warning("notification_malformed", reason=_describe_error(error))
            return None
        return heard


def install() -> None:
    """Use this consumer for every Redis connection of the process; kombu has no setting for it."""
    Transport.Channel = StrictChannel


def _describe_error(error: Exception) -> str:
    """Return a description of the error that quotes nothing from the untrusted message."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        return f"{first['type']} at {'/'.join(map(str, first['loc']))[:80]}"
    return type(error).__name__
