"""Entry point of a press: ``python -m worker.main``; the only place that builds its parts."""

import queue
import signal
import sys
import threading
import time
import warnings

from celery.exceptions import SecurityWarning
from celery.signals import worker_shutting_down

from common import failpoints, logs
from common.db import schema
from common.db.engine import Database
from common.errors import DatabaseUnavailableError, PressroomError, SettingsError
from common.jobs.notifier import TASK, create_celery, queue_of
from common.models.adapters import open_shelf
from common.models.catalog import offered
from common.settings import EXIT_BAD_SETTINGS, Settings
from common.storage import open_storage
from worker import celery_consumer
from worker.checkers.factory import open_checker
from worker.engine.factory import open_engine
from worker.metering.meter import Meter
from worker.pictures.finish import open_finisher
from worker.press import runner
from worker.press.press import Press

EXIT_UNAVAILABLE = 69
"""Exit status of a press that cannot start now and may later (``EX_UNAVAILABLE`` of sysexits.h)."""


def main() -> int:
    """Run a press until a signal says stop; return the exit status."""
    try:
        settings = Settings.from_environ()
        logs.configure(settings, "press")
        failpoints.arm(settings.faults, settings.home / "faults")
        signal.signal(signal.SIGTERM, _end)  # until Celery hears it
        press = build_press(settings)
        schema.refuse_older(press.database)
        press.start()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BAD_SETTINGS
    except PressroomError as error:
        logs.get_logger(__name__).error("press_cannot_start", code=error.code, reason=error.message)
        return EXIT_UNAVAILABLE
    listen(press)
    return 0


def build_press(settings: Settings) -> Press:
    """Return a press made of the real parts that the settings name."""
    meter = Meter()
    shelf = open_shelf(settings)
    cards = shelf.equip_all(offered(settings))
    for name, sentence in shelf.find_left_out(cards).items():
        logs.get_logger(__name__).warning("adapter_left_out", file=name, reason=sentence)
    return Press(
        settings,
        cards,
        database=Database(settings.sqlalchemy_url),
        storage=open_storage(settings),
        engine=open_engine(settings, meter, shelf),
        checker=open_checker(settings),
        finisher=open_finisher(settings),
        meter=meter,
    )


def listen(press: Press) -> None:
    """Hear bells until a signal says stop, then leave in order."""
    try:
        _hear_bells(press)
    finally:
        press.stop()


def _hear_bells(press: Press) -> None:
    celery_consumer.install()
    celery = create_celery(press.settings, patient=True)

    @celery.task(name=TASK, shared=False)
    def hear_bell(_job_id: str) -> None:
        try:
            runner.hear(press)
        except DatabaseUnavailableError as error:
            # Nothing is lost: the row waits, and top-up rings again.
            logs.get_logger(__name__).warning("bell_unanswered", reason=error.message)
            time.sleep(press.settings.beat_seconds)

    _leave_on_shutdown(press)
    # Celery warns of root because of pickle, which is not accepted here; in a container root may be all there is.
    warnings.simplefilter("ignore", SecurityWarning)
    celery.worker_main(_arguments(press))


def _end(_signal: int, _frame: object) -> None:
    sys.exit()


def _arguments(press: Press) -> list[str]:
    queues = ",".join(queue_of(model) for model in press.models)
    return [
        "--quiet",
        "worker",
        "--pool=threads",
        f"--concurrency={press.threads}",
        f"--queues={queues}",
        f"--hostname=press-{press.id}@%h",
        f"--loglevel={press.settings.log_level}",
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]


def _leave_on_shutdown(press: Press) -> None:
    # Celery's signal runs inside the signal handler, where taking a lock could deadlock: hand over to a thread.
    told: queue.SimpleQueue[None] = queue.SimpleQueue()

    def leave_when_told() -> None:
        told.get()
        press.leave()

    threading.Thread(target=leave_when_told, name="leave", daemon=True).start()
    worker_shutting_down.connect(lambda **_: told.put(None), weak=False)


if __name__ == "__main__":
    sys.exit(main())
