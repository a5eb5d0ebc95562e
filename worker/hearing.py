"""An ear that stays open when the broker restarts.

kombu counts a message against the prefetch limit until it is acknowledged. An acknowledgement that fails because
Redis is away leaves it counted for ever, and with the last credit gone the consumer never polls again: the press lives
on, deaf. A message here is only a bell, so losing its acknowledgement loses nothing: the credit is given back.
"""

from kombu.exceptions import OperationalError
from kombu.transport.redis import Channel, QoS
from redis.exceptions import RedisError

from common.logs import get_logger

log = get_logger(__name__)


class ForgivingQoS(QoS):
    """Frees a message's prefetch credit even when Redis cannot be told that it was heard."""

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message; never fail."""
        try:
            super().ack(delivery_tag)
        except (RedisError, OperationalError, OSError) as error:
            log.warning("bell_not_acknowledged", reason=type(error).__name__)
            self._quick_ack(delivery_tag)  # type: ignore[attr-defined]  # the stubs leave it out


def install() -> None:
    """Make every Redis channel of this process use it; kombu offers no setting for this."""
    Channel.QoS = ForgivingQoS
