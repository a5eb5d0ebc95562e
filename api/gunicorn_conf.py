"""Gunicorn configuration of the API: ``gunicorn -c python:api.gunicorn_conf``; command-line flags override it."""

import sys
from typing import Any

from api.runtime.context import EXTENSION
from common.errors import SettingsError
from common.settings import EXIT_BAD_SETTINGS, Settings

try:
    _settings = Settings.from_environ()
except SettingsError as fault:
    sys.stderr.write(f"{fault}\n")
    sys.exit(EXIT_BAD_SETTINGS)

bind = [_settings.bind]
worker_class = "api.server.worker.ApiWorker"
workers = 1
threads = _settings.api_threads
graceful_timeout = 30
timeout = 90  # for a worker's event loop, which never waits for a request
keepalive = 15
control_socket_disable = True
accesslog = None  # the app writes its own access log
errorlog = "-"


def post_worker_init(worker: Any) -> None:
    """Give *worker* threads for waiting connections, which are closed when it is asked to stop or orphaned."""
    worker.idle_threads = _settings.max_waiting + _settings.max_downloads
    room = worker.wsgi.extensions[EXTENSION].waiting_room
    room.close_when(worker.is_stopping)
