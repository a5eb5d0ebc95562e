"""Celery consumer that keeps working while Redis restarts or is full, and drops malformed messages.

kombu writes to Redis for each message: when it is received, so that it can be delivered again, and when it is
acknowledged. A full Redis rejects the first, which ends Celery's worker. If the second fails, the message counts
against the prefetch limit forever, until the press receives no more work. A message here is only a notification and
need not be delivered again, so this consumer only reads from Redis, and counts messages in its own memory.

Celery also trusts the queue's contents: a message that is not JSON, or has an unexpected shape, ends the worker. So
each message is validated before Celery sees it, and anything else is dropped, which loses no work.
"""

from importlib.metadata import version
from typing import Any

from celery import Celery
from kombu import Connection
from kombu.transport import virtual
from kombu.transport.redis import Channel, QoS, Transport
from kombu.transport.virtual.base import Message
from pydantic import ValidationError

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


class LocalQoS(QoS):
    """Count the messages in hand without writing to Redis; those that a press loses are not delivered again."""

    restore_at_shutdown = False

    def append(self, message: Message, delivery_tag: str) -> None:
        """Count a message that was received."""
        virtual.QoS.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        """Release the prefetch credit of a message."""
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Release the prefetch credit of a message; it is not put back."""
        virtual.QoS.reject(self, delivery_tag, requeue=False)

    def restore_visible(self, *_arguments: Any, **_options: Any) -> None:
        """Do nothing: no message is ever delivered again."""


class StrictChannel(Channel):
    """Receive notifications and drop malformed messages."""

    QoS = LocalQoS
    Message = JobMessage

    def _queue_bind(self, *_binding: Any) -> None:
        """Do nothing: notifications are pushed to the queue itself, and a full Redis would reject this write."""

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
    # An error that Redis answers with, such as that of a replica that is read-only, must not end the press: it connects
    # again, until Redis has recovered.
    celery.conf.broker_channel_error_retry = True


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
