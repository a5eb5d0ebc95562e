"""Entry point of the clerk: ``python -m common.clerk``."""

import signal
import sys
import threading

from common import failpoints, logs
from common.clerk.schedule import list_duties, run_duties
from common.db import schema
from common.db.engine import Database
from common.errors import SettingsError
from common.jobs.notifier import CeleryNotifier, create_celery
from common.settings import EXIT_BAD_SETTINGS, Settings
from common.settings.private_files import protect_data_directory
from common.storage import open_storage
from common.webhooks.deliverer import Deliverer
from common.webhooks.signing_secrets import SecretCipher
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules


def main() -> int:
    """Do the duties until a signal says stop; return the exit status."""
    try:
        settings = Settings.from_environ()
        logs.configure_logging(settings, "clerk")
        protect_data_directory(settings.home)
        failpoints.arm_failpoints(settings.faults, settings.home / "faults")
        cipher, storage = SecretCipher(settings.read_secret()), open_storage(settings)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_BAD_SETTINGS
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    database = Database.of(settings)
    notifier = CeleryNotifier(create_celery(settings, patient=False))
    deliverer = Deliverer(database, cipher, SsrfGuard(SsrfRules.of(settings)), threads=settings.webhook_threads)
    schema.await_schema(database, stop)
    duties = list_duties(settings, database, notifier, storage, deliverer)
    run_duties(duties, stop)
    deliverer.close()
    database.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
