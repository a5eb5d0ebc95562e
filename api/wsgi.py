"""The WSGI entry point: builds the production services and the app (``api.wsgi:app``)."""

import sys

from api.app import create_app
from api.runtime.context import Services
from common import failpoints, logs
from common.db.engine import Database
from common.errors import SettingsError
from common.images.served_files import ServedFiles
from common.jobs.notifier import CeleryNotifier, create_celery
from common.settings import EXIT_BAD_SETTINGS, Settings
from common.storage import open_storage
from common.storage.files import FileStorage
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules


def _open_services(settings: Settings) -> Services:
    storage = open_storage(settings)
    return Services(
        database=Database.of(settings, is_durable=True),
        notifier=CeleryNotifier(create_celery(settings, patient=False)),
        storage=storage,
        files=ServedFiles(storage, settings.read_secret()),
        links=storage.links if isinstance(storage, FileStorage) else None,
        settings=settings,
        guard=SsrfGuard(SsrfRules.of(settings)),
    )


try:
    settings = Settings.from_environ()
    logs.configure_logging(settings, "api")
    failpoints.arm_failpoints(settings.faults, settings.home / "faults")
    app = create_app(settings, services=_open_services(settings))
except SettingsError as fault:
    sys.stderr.write(f"{fault}\n")
    sys.exit(EXIT_BAD_SETTINGS)
