"""The lookout: one thread that looks at every job whose events somebody follows, in one query each time."""

import threading
import time
from collections.abc import Callable, Collection
from queue import SimpleQueue
from uuid import UUID

from sqlalchemy import select

from api.runtime.event_ids import Look
from common.db.engine import Database
from common.errors import DatabaseUnavailableError
from common.logs import get_logger
from common.tables import Job

PAUSE_SECONDS = 0.25
"""Between two looks: four short queries by primary key a second and process, however many follow how many jobs."""

logger = get_logger(__name__)


class Watch:
    """One job as one stream follows it; *news* brings each changed look, and None when the stream must end."""

    def __init__(self, job_id: UUID, seen: Look) -> None:
        self.job_id = job_id
        self.news: SimpleQueue[Look | None] = SimpleQueue()
        self._seen = seen

    def show(self, look: Look) -> None:
        """Bring *look*, unless it is the one that was brought last."""
        if look != self._seen:
            self._seen = look
            self.news.put(look)


class Lookout:
    """Looks for all watches; its thread starts with the first and ends after the last."""

    def __init__(self, database: Database, is_closing: Callable[[], bool]) -> None:
        self._database = database
        self._is_closing = is_closing
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._is_looking = False

    def watch(self, job_id: UUID, seen: Look) -> Watch:
        """Begin to look at a job that was last seen as *seen*."""
        watch = Watch(job_id, seen)
        with self._lock:
            if not self._is_looking:
                threading.Thread(target=self._run, name="lookout", daemon=True).start()
                self._is_looking = True
            self._watches.add(watch)
        return watch

    def leave(self, watch: Watch) -> None:
        """Look for *watch* no longer."""
        with self._lock:
            self._watches.discard(watch)

    def _run(self) -> None:
        try:
            while watches := self._list():
                if self._is_closing():
                    _dismiss(watches)
                else:
                    self._look(watches)
                time.sleep(PAUSE_SECONDS)
        except BaseException:
            with self._lock:
                self._is_looking = False
                _dismiss(self._watches)  # they come back, and the next of them starts another thread
            raise

    def _list(self) -> list[Watch]:
        """Return the watches; without any, the thread must end, for the next will start another."""
        with self._lock:
            self._is_looking = bool(self._watches)
            return list(self._watches)

    def _look(self, watches: Collection[Watch]) -> None:
        try:
            looks = look_at(self._database, {watch.job_id for watch in watches})
        except DatabaseUnavailableError as error:
            logger.warning("lookout is blind", error=error.message)
            return
        for watch in watches:
            if watch.job_id in looks:
                watch.show(looks[watch.job_id])


def look_at(database: Database, job_ids: Collection[UUID]) -> dict[UUID, Look]:
    """Return how these jobs stand."""
    columns = (Job.id, Job.status, Job.attempt, Job.progress_step, Job.steps, Job.num_images)
    with database.reading() as session:
        rows = session.execute(select(*columns).where(Job.id.in_(job_ids))).all()
    return {job_id: Look(status, attempt, step, steps, images) for job_id, status, attempt, step, steps, images in rows}


def _dismiss(watches: Collection[Watch]) -> None:
    for watch in watches:
        watch.news.put(None)
