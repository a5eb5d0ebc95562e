"""Notifies presses that there is work; the message never contains the work itself.

Celery on Redis may lose or repeat it; the row in the database is the job. A press that receives a message claims the
best due row, which need not be the one whose id the message carries for tracing.
"""

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol
from uuid import UUID

from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from common.errors import BrokerUnavailableError
from common.jobs.celery_message import encode_message
from common.settings import Settings

VISIBILITY_TIMEOUT_SECONDS = 24 * 3600
"""Longer than any job may run: redelivery is never relied on, so it must never happen by accident."""

CONNECT_SECONDS = 1
QUIET_SECONDS = 2
"""How long nothing is sent after the broker has failed to answer: a dead broker must not slow every request."""

PROBE_KEY = "pressroom.probe"
PROBE_KEY_SECONDS = 10


class Notifier(Protocol):
    """Notifies the presses of a model that there is work."""

    def notify(self, model: str, *job_ids: UUID) -> None:
        """Send one message per job to the presses of *model*; raise BrokerUnavailableError within about a second."""

    def count_pending(self, model: str) -> int:
        """Return how many messages for *model* no press has received yet; raise BrokerUnavailableError."""

    def check(self) -> None:
        """Raise BrokerUnavailableError unless the broker answers and has room for messages."""


class CeleryNotifier:
    """Sends notifications through Celery on Redis."""

    def __init__(self, celery: Celery) -> None:
        self._celery = celery
        self._lock = threading.Lock()
        self._quiet_until = 0.0

    def notify(self, model: str, *job_ids: UUID) -> None:
        """Push one message per job to the queue of *model*, in one command."""
        with self._answering(), self._celery.connection_or_acquire() as connection:
            # Celery's producer would take three times as long, half of the whole time of a submission.
            queue = name_queue(model)
            connection.default_channel.client.lpush(queue, *(encode_message(queue, job_id) for job_id in job_ids))

    def count_pending(self, model: str) -> int:
        """Return the length of the queue of *model*."""
        with self._answering(), self._celery.connection_or_acquire() as connection:
            return int(connection.default_channel.client.llen(name_queue(model)))

    def check(self) -> None:
        """Write a key that soon expires: a broker whose memory is full still answers, but takes no messages."""
        with self._answering(), self._celery.connection_or_acquire() as connection:
            connection.default_channel.client.set(PROBE_KEY, "1", ex=PROBE_KEY_SECONDS)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        if time.monotonic() < self._quiet_until:
            raise BrokerUnavailableError
        try:
            yield
        except (OperationalError, RedisError, OSError) as error:
            with self._lock:
                self._quiet_until = time.monotonic() + QUIET_SECONDS
            raise BrokerUnavailableError from error


class RecordingNotifier:
    """Records notifications without sending them; for tests."""

    def __init__(self) -> None:
        warnings.warn("RecordingNotifier is for tests: no press is notified of new work", stacklevel=2)
        self.notified: list[tuple[str, UUID]] = []

    def notify(self, model: str, *job_ids: UUID) -> None:
        """Record one notification per job."""
        self.notified.extend((model, job_id) for job_id in job_ids)

    def count_pending(self, model: str) -> int:
        """Return the number of notifications recorded for *model*."""
        return sum(1 for name, _ in self.notified if name == model)

    def check(self) -> None:
        """Do nothing: there is always room."""


def name_queue(model: str) -> str:
    """Return the name of the queue on which the presses of *model* listen."""
    return f"press.{model}"


def create_celery(settings: Settings, *, patient: bool) -> Celery:
    """Return the Celery app; a *patient* one, for presses, waits for a missing broker, others fail at once."""
    celery = Celery("pressroom", set_as_current=False)
    celery.conf.update(
        broker_url=settings.broker_url,
        broker_transport_options=_build_transport_options(patient=patient),
        broker_connection_timeout=CONNECT_SECONDS,
        broker_connection_retry_on_startup=patient,
        broker_connection_max_retries=None if patient else 1,
        broker_pool_limit=8,
        result_backend=None,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        task_acks_late=True,
        task_acks_on_failure_or_timeout=True,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
    )
    return celery


def _build_transport_options(*, patient: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
        "unacked_mutex_expire": 30,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_timeout": 30 if patient else 2,
        "health_check_interval": 25,
        "client_name": "pressroom-press" if patient else "pressroom",
    }
    if not patient:
        options |= {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0}
    return options
