"""How gunicorn serves the api; read by ``gunicorn -c python:api.server``, and a flag on its command line wins."""

import sys

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
timeout = 90  # longer than the longest `Prefer: wait`
keepalive = 15
limit_request_line = 4094
limit_request_fields = 50
limit_request_field_size = 8190
control_socket_disable = True
forwarded_allow_ips = ""  # X-Forwarded-* changes nothing: links come from PRESSROOM_PUBLIC_URL
accesslog = None  # the app writes its own line a request
errorlog = "-"
