"""Schedules the clerk's duties, each at its own interval; a failing duty does not delay the others."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from common.campaigns import deletion
from common.clerk import campaigns, quarantine, retention
from common.db.engine import Database
from common.errors import PressroomError
from common.jobs import dispatch, lifecycle
from common.jobs.notifier import Notifier
from common.logs import get_logger
from common.settings import Settings
from common.storage.port import ObjectStore
from common.webhooks.deliverer import Deliverer

EVERY_FEW_SECONDS = 5.0
MINUTELY = 60.0
HOURLY = 3600.0
log = get_logger(__name__)


@dataclass(frozen=True)
class Duty:
    """Something to be done again and again; what it returns is logged when it is not zero or None."""

    name: str
    every_seconds: float
    run: Callable[[], object]


def list_duties(
    settings: Settings, database: Database, notifier: Notifier, storage: ObjectStore, deliverer: Deliverer
) -> list[Duty]:
    """Return the duties of a clerk."""

    def requeue_lost_jobs() -> int:
        with database.transaction() as session:
            return sum(lifecycle.requeue_lost_jobs(session, settings.max_strikes))

    def expire_due_jobs() -> int:
        with database.transaction() as session:
            return lifecycle.expire_due_jobs(session)

    tick = settings.tick_seconds
    return [
        Duty("expire_due_jobs", tick, expire_due_jobs),
        Duty("requeue_lost_jobs", tick, requeue_lost_jobs),
        Duty("deliver_webhooks", tick, deliverer.dispatch),
        Duty("start_due_campaigns", tick, lambda: campaigns.start_due_campaigns(database, settings)),
        Duty("expire_due_campaigns", tick, lambda: campaigns.expire_due_campaigns(database)),
        Duty("settle_campaigns", tick, lambda: campaigns.settle_campaigns(database)),
        Duty("feed_campaigns", tick, lambda: campaigns.feed_campaigns(database, settings)),
        Duty("cancel_stopped_campaigns", tick, lambda: campaigns.cancel_stopped_campaigns(database)),
        Duty("publish_progress", EVERY_FEW_SECONDS, lambda: campaigns.publish_progress(database, settings)),
        Duty("notify_due_jobs", tick, lambda: dispatch.notify_due_jobs(database, notifier)),
        Duty(
            "delete_idempotency_keys",
            HOURLY,
            lambda: retention.delete_idempotency_keys(database, settings.idempotency_hours),
        ),
        Duty("delete_console_sessions", HOURLY, lambda: retention.delete_console_sessions(database)),
        Duty("delete_audit_events", MINUTELY, lambda: retention.delete_audit_events(database, settings.audit_days)),
        Duty("delete_messages", MINUTELY, lambda: retention.delete_messages(database, settings.webhook_days)),
        Duty("erase_images", MINUTELY, lambda: retention.erase_images(database, storage, settings.image_days)),
        Duty("erase_prompts", MINUTELY, lambda: retention.erase_prompts(database, settings.prompt_days)),
        Duty("abandon_stale_lists", MINUTELY, lambda: deletion.abandon_stale_lists(database)),
        Duty("delete_dropped_rows", tick, lambda: deletion.delete_dropped_rows(database)),
        Duty("collect_assets", HOURLY, lambda: retention.collect_assets(database, storage)),
        Duty("expire_quarantine", MINUTELY, lambda: quarantine.expire_quarantine(database)),
        Duty("collect_quarantine", HOURLY, lambda: quarantine.collect_quarantine(database, storage)),
        Duty("collect_orphans", HOURLY, lambda: retention.collect_orphans(database, storage)),
    ]


def run_duties(duties: list[Duty], stop: threading.Event, tick_seconds: float) -> None:
    """Run each duty whenever it is due, until *stop* is set; a duty that fails is logged and tried again next time."""
    due = dict.fromkeys((duty.name for duty in duties), 0.0)
    while not stop.is_set():
        for duty in duties:
            if time.monotonic() < due[duty.name]:
                continue
            due[duty.name] = time.monotonic() + duty.every_seconds
            try:
                done = duty.run()
            except PressroomError as error:
                log.warning("duty_failed", duty=duty.name, code=error.code, reason=error.message)
            else:
                if done:
                    log.info("duty_done", duty=duty.name, count=done)
        stop.wait(tick_seconds)
