"""The messages that ring are those that Celery itself would have sent."""

import json
from base64 import b64decode
from typing import Any

import redis

from common.db.ids import create_id
from common.jobs.celery_message import TASK
from common.jobs.notifier import CeleryNotifier, create_celery, name_queue
from common.settings import Settings
from tests.support.servers import services


def test_a_notification_is_a_celery_message_with_every_field_a_worker_reads() -> None:
    job_id = create_id()
    with services.start_redis() as url, redis.Redis.from_url(url) as broker:
        celery = create_celery(Settings.from_environ({"PRESSROOM_REDIS_URL": url}), patient=False)
        celery.send_task(TASK, args=[str(job_id)], queue=name_queue("painted"))
        notifier = CeleryNotifier(celery)
        notifier.notify("painted", job_id)
        assert notifier.count_pending("painted") == 2
        ours, theirs = (json.loads(raw) for raw in broker.lrange(name_queue("painted"), 0, -1))
        celery.pool.force_close_all()
        celery.close()
    assert _tell(ours) == _tell(theirs)
    assert ours["headers"].items() >= {"task": TASK, "lang": "py", "retries": 0}.items()
    assert ours.keys() == theirs.keys()
    assert ours["properties"].keys() == theirs["properties"].keys() - {"reply_to"}
    for each in (ours, theirs):
        assert each["headers"]["id"] == each["properties"]["correlation_id"]


def test_notifications_are_queued_so_that_the_oldest_is_received_first(redis_url: str) -> None:
    celery = create_celery(Settings.from_environ({"PRESSROOM_REDIS_URL": redis_url}), patient=False)
    job_ids = [create_id() for _ in range(3)]
    CeleryNotifier(celery).notify("painted", *job_ids)
    with redis.Redis.from_url(redis_url) as broker:
        heard = [json.loads(broker.rpop(name_queue("painted"))) for _ in job_ids]  # type: ignore[arg-type]
        assert broker.llen(name_queue("painted")) == 0
    celery.pool.force_close_all()
    celery.close()
    assert [_tell(message)[2][0] for message in heard] == [[str(job_id)] for job_id in job_ids]
    assert len({message["properties"]["delivery_tag"] for message in heard}) == 3


def _tell(message: dict[str, Any]) -> tuple[Any, ...]:
    properties = message["properties"]
    fixed = [properties[name] for name in ("delivery_info", "delivery_mode", "priority", "body_encoding")]
    return message["content-type"], message["content-encoding"], json.loads(b64decode(message["body"])), fixed
