"""Our notifications are Celery's own task messages, and the consumer runs on the releases it was checked against."""

import base64
import json
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from common.jobs.celery_message import TASK, decode_message, encode_message
from common.jobs.notifier import create_celery
from common.settings import Settings
from worker import celery_consumer

QUEUE = "press.painted"
JOB_ID = UUID(int=7)
RANDOM = {"id", "root_id", "correlation_id", "delivery_tag"}


class DeadChannel:
    """A channel whose Redis does not answer."""

    do_restore = False

    def conn_or_acquire(self, _client: object = None) -> Any:
        raise RedisConnectionError


@pytest.fixture
def celery() -> Celery:
    celery = create_celery(Settings.from_environ({"PRESSROOM_REDIS_URL": "redis://127.0.0.1:1"}), patient=False)
    celery.conf.update(broker_url="memory://")
    return celery


@pytest.fixture
def sent_by_celery(celery: Celery) -> dict[str, Any]:
    """What ``send_task`` writes for the same notification."""
    celery.send_task(TASK, args=[str(JOB_ID)], queue=QUEUE)
    with celery.connection_for_read() as connection:
        channel: Any = connection.default_channel  # the stubs leave out what a virtual channel can do
        message = channel.basic_get(QUEUE, no_ack=True)
    assert message is not None
    return json.loads(json.dumps(message.serializable()))  # type: ignore[no-any-return]


def test_each_field_of_a_notification_is_one_that_celery_writes_with_the_same_value(
    sent_by_celery: dict[str, Any],
) -> None:
    ours, theirs = json.loads(encode_message(QUEUE, JOB_ID)), sent_by_celery
    assert ours.keys() == theirs.keys()
    for part in ("headers", "properties"):
        assert _fixed(ours[part]).items() <= _fixed(theirs[part]).items()
        assert ours[part].keys() & RANDOM == theirs[part].keys() & RANDOM
    assert _body(ours) == _body(theirs)
    assert (ours["content-type"], ours["content-encoding"]) == (theirs["content-type"], theirs["content-encoding"])


def test_the_ids_of_a_notification_agree_with_each_other_as_celery_s_do(sent_by_celery: dict[str, Any]) -> None:
    for message in (json.loads(encode_message(QUEUE, JOB_ID)), sent_by_celery):
        headers, properties = message["headers"], message["properties"]
        assert headers["id"] == headers["root_id"] == properties["correlation_id"]


def test_a_notification_of_ours_and_one_of_celery_s_decode_to_their_job(sent_by_celery: dict[str, Any]) -> None:
    assert decode_message(json.loads(encode_message(QUEUE, JOB_ID))) == str(JOB_ID)
    assert decode_message(sent_by_celery) == str(JOB_ID)


@pytest.mark.parametrize(
    "url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "redis+socket:///tmp/valkey.sock?virtual_host=0"]
)
def test_every_form_of_broker_url_reads_through_the_strict_channel(url: str) -> None:
    celery = create_celery(Settings.from_environ({"PRESSROOM_REDIS_URL": url}), patient=True)
    celery_consumer.install_consumer(celery)
    for connection in (celery.connection_for_read(), celery.connection_for_read().clone()):
        assert isinstance(connection.transport, celery_consumer.StrictTransport)


def test_an_app_without_the_consumer_keeps_kombu_s_own_channel() -> None:
    celery = create_celery(Settings.from_environ({"PRESSROOM_REDIS_URL": "redis://127.0.0.1:1"}), patient=True)
    assert not isinstance(celery.connection_for_read().transport, celery_consumer.StrictTransport)


def test_messages_are_counted_without_a_word_to_redis() -> None:
    qos = celery_consumer.LocalQoS(DeadChannel(), prefetch_count=1)
    qos.append(object(), "tag")  # no part of the message is read
    assert not qos.can_consume()
    qos.ack("tag")
    assert qos.can_consume()


def test_the_installed_celery_and_kombu_are_of_the_releases_that_the_consumer_was_checked_against() -> None:
    assert celery_consumer.find_unchecked_versions() == {}


def test_another_release_of_kombu_is_reported_at_the_start(celery: Celery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(celery_consumer.CHECKED_VERSIONS, "kombu", "5.6")
    with capture_logs() as logged:
        celery_consumer.install_consumer(celery)
    assert [(line["event"], line["package"], line["log_level"]) for line in logged] == [
        ("version_unchecked", "kombu", "error")
    ]


def _fixed(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if name not in RANDOM}


def _body(message: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(message["body"]))
