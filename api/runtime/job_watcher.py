"""Job watcher: one thread that polls all followed jobs with a single query per round."""

import threading
import time
from collections.abc import Callable, Collection
from queue import SimpleQueue
from uuid import UUID

from sqlalchemy import select

from api.runtime.event_ids import JobSnapshot
from common.db.engine import Database
from common.errors import DatabaseUnavailableError
from common.logs import get_logger
from common.tables import Job

PAUSE_SECONDS = 0.25
"""Pause between polls: four short primary key queries per second and process, however many jobs are followed."""

log = get_logger(__name__)


class Subscription:
    """One stream's subscription to one job; *news* brings each changed state, and None when the stream must end."""

    def __init__(self, job_id: UUID, seen: JobSnapshot) -> None:
        self.job_id = job_id
        self.news: SimpleQueue[JobSnapshot | None] = SimpleQueue()
        self._seen = seen

    def show(self, look: JobSnapshot) -> None:
        """Publish *look* if it differs from the last one."""
        if look != self._seen:
            self._seen = look
            self.news.put(look)


class JobWatcher:
    """Polls jobs for all watches; its thread starts with the first watch and ends after the last."""

    def __init__(self, database: Database, is_closing: Callable[[], bool]) -> None:
        self._database = database
        self._is_closing = is_closing
        self._lock = threading.Lock()
        self._watches: set[Subscription] = set()
        self._is_looking = False

    def watch(self, job_id: UUID, seen: JobSnapshot) -> Subscription:
        """Start to watch a job whose last known state is *seen*."""
        watch = Subscription(job_id, seen)
        with self._lock:
            if not self._is_looking:
                threading.Thread(target=self._run, name="job-watcher", daemon=True).start()
                self._is_looking = True
            self._watches.add(watch)
        return watch

    def leave(self, watch: Subscription) -> None:
        """Stop polling for *watch*."""
        with self._lock:
            self._watches.discard(watch)

    def _run(self) -> None:
        try:
            while watches := self._list():
                if self._is_closing():
                    _end_subscriptions(watches)
                else:
                    self._poll(watches)
                time.sleep(PAUSE_SECONDS)
        except BaseException:
            with self._lock:
                self._is_looking = False
                _end_subscriptions(self._watches)  # clients reconnect, and the first of them starts another thread
            raise

    def _list(self) -> list[Subscription]:
        """Return the watches; if there are none the thread must end, as the next watch starts another."""
        with self._lock:
            self._is_looking = bool(self._watches)
            return list(self._watches)

    def _poll(self, watches: Collection[Subscription]) -> None:
        try:
            looks = load_snapshots(self._database, {watch.job_id for watch in watches})
        except DatabaseUnavailableError as error:
            log.warning("job_watcher_failed", error=error.message)
            return
        for watch in watches:
            if watch.job_id in looks:
                watch.show(looks[watch.job_id])


def load_snapshots(database: Database, job_ids: Collection[UUID]) -> dict[UUID, JobSnapshot]:
    """Return the current states of these jobs."""
    columns = (Job.id, Job.status, Job.attempt, Job.progress_step, Job.steps, Job.num_images)
    with database.reading() as session:
        rows = session.execute(select(*columns).where(Job.id.in_(job_ids))).all()
    return {
        job_id: JobSnapshot(status, attempt, step, steps, images)
        for job_id, status, attempt, step, steps, images in rows
    }


def _end_subscriptions(watches: Collection[Subscription]) -> None:
    for watch in watches:
        watch.news.put(None)
