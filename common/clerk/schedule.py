"""Schedules the clerk's duties, each at its own interval; a failing duty does not delay the others.

A duty that takes a batch at a time is repeated at once while it finds full batches, so that no backlog waits for an
interval to pass. All other duties that are due go between two batches.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from common.campaigns import deletion
from common.clerk import campaigns, orphans, quarantine, retention
from common.clerk.quarantine import StrayCollection
from common.clerk.sweeps import Sweep
from common.db.engine import Database
from common.errors import PressroomError
from common.jobs import dispatch, lifecycle
from common.jobs.notifier import Notifier
from common.logs import get_logger
from common.settings import Settings
from common.storage.port import ObjectStore
from common.usage import booking, meter_readings
from common.webhooks.deliverer import Deliverer

EVERY_FEW_SECONDS = 5.0
MINUTELY = 60.0
HOURLY = 3600.0
DAILY = 86400.0
BOOKED = 1000
"""Attempts that are booked, and readings that are deleted, at a time."""

log = get_logger(__name__)


@dataclass(frozen=True)
class Duty:
    """Something to be done again and again; what it returns is logged when it is not zero or None."""

    name: str
    every_seconds: float
    run: Callable[[], int | None]
    batch: int | None = None
    """When a run returns as many, there may be more, and the duty is due again at once."""


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

    def book_usage() -> int:
        with database.transaction() as session:
            return booking.book_attempts(session, BOOKED)

    def delete_old_hours() -> int:
        with database.transaction() as session:
            return booking.delete_old_hours(session)

    def thin_readings() -> int:
        with database.transaction() as session:
            return meter_readings.thin_readings(session, BOOKED)

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
        Duty("abandon_stale_lists", MINUTELY, lambda: deletion.abandon_stale_lists(database)),
        Duty("delete_dropped_rows", tick, lambda: deletion.delete_dropped_rows(database), deletion.CHUNK),
        Duty("book_usage", MINUTELY, book_usage, BOOKED),
        Duty("delete_old_hours", DAILY, delete_old_hours),
        Duty("thin_readings", HOURLY, thin_readings, BOOKED),
        *_list_retention_duties(settings, database, storage),
    ]


def _list_retention_duties(settings: Settings, database: Database, storage: ObjectStore) -> list[Duty]:
    def sweep(name: str, every_seconds: float, deal: Callable[..., Sequence[UUID]], batch: int) -> Duty:
        return Duty(name, every_seconds, Sweep(lambda *part: deal(database, storage, *part), batch).run, batch)

    rows = retention.ROWS
    return [
        Duty(
            "delete_idempotency_keys",
            HOURLY,
            lambda: retention.delete_idempotency_keys(database, settings.idempotency_hours),
            rows,
        ),
        Duty("delete_console_sessions", HOURLY, lambda: retention.delete_console_sessions(database), rows),
        Duty(
            "delete_audit_events", MINUTELY, lambda: retention.delete_audit_events(database, settings.audit_days), rows
        ),
        Duty(
            "delete_messages",
            MINUTELY,
            lambda: retention.delete_messages(database, settings.webhook_days),
            retention.MESSAGES,
        ),
        Duty(
            "erase_images",
            MINUTELY,
            lambda: retention.erase_images(database, storage, settings.image_days),
            retention.IMAGES,
        ),
        sweep("finish_erasures", MINUTELY, retention.finish_erasures, retention.IMAGES),
        Duty(
            "erase_prompts",
            MINUTELY,
            lambda: retention.erase_prompts(database, settings.prompt_days),
            retention.PROMPTS,
        ),
        sweep("collect_assets", HOURLY, orphans.collect_assets, orphans.BATCH),
        sweep("collect_orphans", HOURLY, orphans.collect_orphans, orphans.BATCH),
        Duty("expire_quarantine", MINUTELY, lambda: quarantine.expire_quarantine(database), quarantine.BATCH),
        sweep("collect_quarantine", HOURLY, quarantine.collect_quarantine, quarantine.BATCH),
        Duty("collect_strays", HOURLY, StrayCollection(database, storage, rows).run, rows),
    ]


def run_duties(duties: list[Duty], stop: threading.Event) -> None:
    """Run each duty whenever it is due, until *stop* is set; a duty that fails is logged and tried again next time.

    Of the duties with batches only one runs, the one that has waited longest, before the others get their turn.
    """
    due = {duty.name: 0.0 for duty in duties}
    while not stop.is_set():
        now = time.monotonic()
        ready = [duty for duty in duties if due[duty.name] <= now]
        batched = sorted((duty for duty in ready if duty.batch is not None), key=lambda duty: due[duty.name])
        for duty in [*(duty for duty in ready if duty.batch is None), *batched[:1]]:
            if stop.is_set():
                return
            began = time.monotonic()
            done = _run_duty(duty)
            is_full = duty.batch is not None and done >= duty.batch
            due[duty.name] = began if is_full else began + duty.every_seconds
        stop.wait(max(0.0, min(due.values()) - time.monotonic()))


def _run_duty(duty: Duty) -> int:
    """Run a duty; return what it did, 0 if it failed."""
    try:
        done = duty.run() or 0
    except PressroomError as error:
        log.warning("duty_failed", duty=duty.name, code=error.code, reason=error.message)
        return 0
    if done:
        log.info("duty_done", duty=duty.name, count=done)
    return done
