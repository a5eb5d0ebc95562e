"""Celery consumer that keeps working after a broker restart and drops malformed messages.

kombu counts a message against the prefetch limit until it is acknowledged. If an acknowledgement fails because Redis
is unavailable, the message stays counted forever; once the last credit is gone, the consumer never polls again and the
press receives no more work. A message here is only a notification, so a lost acknowledgement does no harm: the credit
is released.

Celery also trusts the queue's contents: a message that is not JSON, or has an unexpected shape, ends the worker. So
each message is validated before Celery sees it, and anything else is dropped, which loses no work.
"""

from importlib.metadata import version
from typing import Any

from celery import Celery
from kombu import Connection
from kombu.exceptions import OperationalError
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport
from kombu.transport.virtual.base import Message
from pydantic import ValidationError
from redis.exceptions import RedisError

from common.jobs.celery_message import decode_message
from common.logs import get_logger

CHECKED_VERSIONS = {"celery": "5.7", "kombu": "5.7"}
"""Releases this module was checked against: it overrides parts of kombu that may change from one to the next."""

log = get_logger(__name__)


class JobMessage(Message):
    """A message validated in every part that Celery and kombu read; raises ValueError if any part is invalid."""

    def __init__(self, payload: Any, channel: Any = None, **options: Any) -> None:
        decode_message(payload)
        super().__init__(payload, channel=channel, **options)


class ForgivingQoS(QoS):
    """Release a message's prefetch credit even if the acknowledgement does not reach Redis."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message. Never raises."""
        try:
            super().ack(delivery_tag)
        except (RedisError, OperationalError, OSError) as error:
            log.warning("notification_not_acknowledged", reason=type(error).__name__)
            virtual.QoS.ack(self, delivery_tag)  # releases the credit without asking Redis


class StrictChannel(Channel):
    """Receive notifications and drop malformed messages."""

    QoS = ForgivingQoS
    Message = JobMessage

    def _brpop_read(self, **options: Any) -> bool | None:
        """Handle one message. It has already been removed from the queue, valid or not.

        This overrides a private method: kombu parses the JSON inside it, and both the poller and ``close`` call it.
        """
        try:
            was_delivered: bool = super()._brpop_read(**options)  # type: ignore[misc]  # the stubs leave it out
        except (ValueError, RecursionError) as error:  # includes ValidationError and the errors of json and base64
            log.warning("notification_malformed", reason=_describe_error(error))
            return None
        return was_delivered


class StrictTransport(Transport):
    """The Redis transport with the channel above."""

    Channel = StrictChannel


class StrictConnection(Connection):
    """A broker connection that replaces the Redis transport by the one above, whatever the form of the URL."""

    def get_transport_cls(self) -> Any:
        """Return the transport's class."""
        found = super().get_transport_cls()
        return StrictTransport if found is Transport else found


def install_consumer(celery: Celery) -> None:
    """Let *celery* receive through this consumer; report versions of Celery or kombu that it was not checked against.

    Such a press still starts: most releases change nothing that matters here, and the log names the suspect otherwise.
    """
    for package, installed in find_unchecked_versions().items():
        log.error("version_unchecked", package=package, installed=installed, checked=CHECKED_VERSIONS[package])
    celery.amqp.Connection = StrictConnection


def find_unchecked_versions() -> dict[str, str]:
    """Return the installed version of each package whose version is not a release of the checked series."""
    installed = {package: version(package) for package in CHECKED_VERSIONS}
    return {name: found for name, found in installed.items() if not found.startswith(f"{CHECKED_VERSIONS[name]}.")}


def _describe_error(error: Exception) -> str:
    """Return a description of the error that quotes nothing from the untrusted message."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_context=False, include_url=False)[0]
        return f"{first['type']} at {'/'.join(map(str, first['loc']))[:80]}"
    return type(error).__name__
