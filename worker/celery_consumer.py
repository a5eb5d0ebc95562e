"""An ear that stays open when the broker restarts, and that no message can hurt.

kombu counts a message against the prefetch limit until it is acknowledged. An acknowledgement that fails because
Redis is away leaves it counted for ever, and with the last credit gone the consumer never polls again: the press lives
on, deaf. A message here is only a bell, so losing its acknowledgement loses nothing: the credit is given back.

And Celery takes what it finds in the queue for messages: one that is no JSON, or of another shape, ends the worker. So
a message is looked at before Celery sees it, and what is no bell is dropped: its sender can have lost nothing by that.
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
"""Bytes; a bell carries one id."""

Embedded = dict[Literal["callbacks", "errbacks", "chain", "chord"], None]
BODY = TypeAdapter(tuple[tuple[str], dict[str, None], Embedded])

log = get_logger(__name__)


class Headers(BaseModel):
    """What Celery reads of a message before it runs its task; no bell waits, expires or is packed."""

    task: Literal["hear-bell"]
    id: str = Field(max_length=64)
    eta: None = None
    expires: None = None
    compression: None = None
    timelimit: tuple[None, None] | None = None


class Properties(BaseModel):
    """What kombu reads of a message to keep account of it."""

    delivery_tag: str = Field(max_length=64)
    delivery_info: dict[str, Any]
    body_encoding: Literal["base64"]


class Envelope(BaseModel):
    """A bell as it lies in Redis."""

    headers: Headers
    properties: Properties
    content_type: Literal["application/json"] = Field(alias="content-type")
    content_encoding: Literal["utf-8"] = Field(alias="content-encoding")
    body: str = Field(max_length=LONGEST_BODY)


class BellMessage(Message):
    """A message that is a bell in every part that anybody will read; anything else raises ValueError."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        envelope = Envelope.model_validate(payload)
        BODY.validate_json(base64.b64decode(envelope.body, validate=True))
        super().__init__(payload, channel=channel, **options)


class ForgivingQoS(QoS):
    """Frees a message's prefetch credit even when Redis cannot be told that it was heard."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; never fail."""
        try:
            super().ack(delivery_tag)
        except (RedisError, OperationalError, OSError) as error:
            log.warning("bell_not_acknowledged", reason=type(error).__name__)
            self._quick_ack(delivery_tag)  # type: ignore[attr-defined]  # the stubs leave it out


class StrictChannel(Channel):
    """Takes bells, and drops what is none."""

    QoS = ForgivingQoS
    Message = BellMessage

    def _brpop_read(self, **options: Any) -> bool | None:
        """Hear one message; it has left the queue already, whatever it was."""
        try:
            heard: bool = super()._brpop_read(**options)  # type: ignore[misc]  # the stubs leave it out
        except (ValueError, RecursionError) as error:  # ValidationError, and what json and base64 raise, among them
            log.warning("bell_malformed", reason=_name(error))
            return None
        return heard


def install() -> None:
    """Have every Redis connection of this process hear so; kombu offers no setting for this."""
    Transport.Channel = StrictChannel


def _name(error: Exception) -> str:
    """Return what is wrong, without a word of what was written by nobody knows whom."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        return f"{first['type']} at {'/'.join(map(str, first['loc']))[:80]}"
    return type(error).__name__
