"""How gunicorn serves the api: ``gunicorn -c python:api.gunicorn_conf``. A flag on its command line wins."""

import os
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
worker_class = "gthread"
workers = 1
threads = _settings.api_threads
graceful_timeout = 30
timeout = 90  # of a worker's main thread, which waits for no request
keepalive = 15
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
control_socket_disable = True
forwarded_allow_ips = ""  # X-Forwarded-* changes nothing: links come from PRESSROOM_PUBLIC_URL
accesslog = None  # the app writes its own line a request
errorlog = "-"


def post_worker_init(worker: Any) -> None:
    """Have *worker* end what waits in it, streams of events above all, as soon as it is asked to stop or orphaned."""
    room = worker.wsgi.extensions[EXTENSION].waiting_room
    room.close_when(lambda: not worker.alive or worker.ppid != os.getppid())
