"""The health check of a container: exits with 0 if the api of this machine responds (``python -m api.healthcheck``).

It asks where ``PRESSROOM_BIND`` says, whatever the port.
"""

import sys
from urllib.request import ProxyHandler, build_opener

from common.launcher.bind_address import build_probe_url
from common.settings import Settings

TIMEOUT_SECONDS = 2


def main() -> int:
    """Return 0 if the api responds; otherwise print why not and return 1."""
    url = f"{build_probe_url(Settings.from_environ().bind)}/healthz"
    try:
        build_opener(ProxyHandler({})).open(url, timeout=TIMEOUT_SECONDS).close()
    except OSError as error:
        sys.stderr.write(f"{url}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
