"""The address that the api listens on, and the URL under which this machine reaches it."""

from common.errors import SettingsError
from common.settings import PREFIX

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104


def build_probe_url(bind: str) -> str:
    """Return the URL under which this machine reaches a server bound to *bind*; raise SettingsError."""
    host, port = parse_bind(bind)
    reached = WILDCARDS.get(host, host)
    return f"http://[{reached}]:{port}" if ":" in reached else f"http://{reached}:{port}"


def parse_bind(bind: str) -> tuple[str, int]:
    """Return the host and the port of ``ADDRESS:PORT``; raise SettingsError."""
    host, _, port = bind.rpartition(":")
    if not port.isdecimal():
        raise SettingsError(f"{PREFIX}BIND must be ADDRESS:PORT, not {bind!r}.")
    return host.strip("[]"), int(port)
