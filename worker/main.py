"""Entry point of a press (``python -m worker.main``) and the only place that builds its components."""

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
from common.jobs.celery_message import TASK
from common.jobs.notifier import create_celery, name_queue
from common.models.adapters import read_adapter_directory
from common.models.catalog import load_offered_models
from common.settings import EXIT_BAD_SETTINGS, Settings
from common.settings.private_files import protect_data_directory
from common.storage import open_storage
from worker.celery_consumer import install_consumer
from worker.checkers.factory import open_checker
from worker.engine.factory import open_engine
from worker.metering.meter import Meter
from worker.pictures.finish import open_finisher
from worker.press import runner
from worker.press.press import Press

EXIT_UNAVAILABLE = 69
"""Exit status of a press that must be started again, when what it lacks may be there (``EX_UNAVAILABLE``)."""


def main() -> int:
    """Run a press until it receives a stop signal; return the exit status."""
    try:
        settings = Settings.from_environ()
        logs.configure_logging(settings, "press")
        protect_data_directory(settings.home)
        failpoints.arm_failpoints(settings.faults, settings.home / "faults")
        signal.signal(signal.SIGTERM, _exit_on_signal)  # until Celery handles it
        press = build_press(settings)
        schema.await_schema(press.database, threading.Event())
        press.start()
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BAD_SETTINGS
    except PressroomError as error:
        logs.get_logger(__name__).error("press_cannot_start", code=error.code, reason=error.message)
        return EXIT_UNAVAILABLE
    return run_consumer(press)


def build_press(settings: Settings) -> Press:
    """Build a press from the components named in the settings."""
    meter = Meter()
    shelf = read_adapter_directory(settings)
    cards = shelf.equip_all(load_offered_models(settings))
    for name, sentence in shelf.find_left_out(cards).items():
        logs.get_logger(__name__).warning("adapter_left_out", file=name, reason=sentence)
    return Press(
        settings,
        cards,
        database=Database.of(settings),
        storage=open_storage(settings),
        engine=open_engine(settings, meter, shelf),
        checker=open_checker(settings),
        finisher=open_finisher(settings),
        meter=meter,
    )


def run_consumer(press: Press) -> int:
    """Process notifications until a stop signal arrives, then shut down gracefully; return the exit status.

    The status tells whether others asked for the end: whoever restarts only what has failed must restart the press.
    """
    try:
        _consume_messages(press)
        was_asked = press.is_leaving
    finally:
        press.stop()
    if not was_asked:
        logs.get_logger(__name__).error("press_consumer_ended")
    return 0 if was_asked and not press.restart.is_requested else EXIT_UNAVAILABLE


def _consume_messages(press: Press) -> None:
    celery = create_celery(press.settings, patient=True)
    install_consumer(celery)

    @celery.task(name=TASK, shared=False)
    def run_job(_job_id: str) -> None:
        try:
            runner.run_next_job(press)
        except DatabaseUnavailableError as error:
            # Nothing is lost: the row is still queued, and top-up sends another notification.
            logs.get_logger(__name__).warning("notification_unanswered", reason=error.message)
            time.sleep(press.settings.beat_seconds)

    _leave_on_shutdown(press)
    # Celery warns about running as root because of pickle, which is not accepted here; a container may only have root.
    warnings.simplefilter("ignore", SecurityWarning)
    celery.worker_main(_build_celery_arguments(press))


def _exit_on_signal(_signal: int, _frame: object) -> None:
    sys.exit()


def _build_celery_arguments(press: Press) -> list[str]:
    queues = ",".join(name_queue(model) for model in press.models)
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
    # Celery's signal runs inside the signal handler, where taking a lock could deadlock: use a thread instead.
    stopping: queue.SimpleQueue[None] = queue.SimpleQueue()

    def leave_when_stopping() -> None:
        stopping.get()
        press.leave()

    threading.Thread(target=leave_when_stopping, name="leave", daemon=True).start()
    worker_shutting_down.connect(lambda **_: stopping.put(None), weak=False)


if __name__ == "__main__":
    sys.exit(main())
