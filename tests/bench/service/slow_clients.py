"""What 200 slow clients of each kind do to somebody else's submits: the API's server against others, in one run.

Every contestant serves the same app on SQLite, with the same number of threads. For each kind of slow client the table
shows the 99th percentile of another owner's ``POST /v1/jobs`` in milliseconds, while the slow clients are there.

- ours: gunicorn with uvicorn's connections and ``api.server.bridge``
- gunicorn, gthread: what the API ran on before
- Caddy + gthread: a reverse proxy that buffers requests and answers, in front of it
- waitress, granian: servers that read requests on their own threads
- gunicorn, asgi: gunicorn's own event loop with ``api.server.bridge``

Usage: ``python -m tests.bench.service.slow_clients [--count 200] [--orders 300] [--servers ours,waitress]``
"""

import argparse
import http.client
import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.access import keys
from common.db import schema
from common.db.engine import Database
from common.models import catalog
from tests.bench import plots
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.support.servers.api_servers import ROOT, answers
from tests.support.servers.processes import free_ports, own_folder, running
from tests.support.servers.slow_clients import KINDS, Target, attacking

ACTIVE, IDLE = 16, 40
THREADS = ACTIVE + IDLE
CONNECTIONS = 4
PATIENCE_SECONDS = 10
SETTLING_SECONDS = 4
"""How long the slow clients may take at first: their first answers have to be made, which is work and not slowness."""

NOBODY = "nobody"
CAMPAIGN = {"name": "cards", "template": {"prompt": "a card for {{ name }}"}, "budget": {"amount": "10"}}
CADDYFILE = """{{
    admin off
    auto_https off
    servers {{
        timeouts {{
            read_header 15s
            read_body 120s
            write 60s
        }}
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{behind} {{
        request_buffers 10MiB
        response_buffers 10MiB
        flush_interval -1
    }}
}}
"""


@dataclass(frozen=True)
class Contestant:
    """A server: what starts it on a port, and what starts a proxy in front of it, if any."""

    name: str
    build_command: Callable[[int], Sequence[str]]
    has_proxy: bool = False


def _gunicorn(worker: str, app: str = "api.wsgi:app") -> Callable[[int], Sequence[str]]:
    flags = [f"--worker-class={worker}", f"--threads={THREADS}", "--keep-alive=15", "--no-control-socket"]
    return lambda port: [sys.executable, "-m", "gunicorn", *flags, f"--bind=127.0.0.1:{port}", app]


def _pressroom(port: int) -> Sequence[str]:
    flags = ["-c", "python:api.gunicorn_conf", f"--bind=127.0.0.1:{port}"]
    return [sys.executable, "-m", "gunicorn", *flags, "api.wsgi:app"]


def _python(module: str, *flags: str) -> Callable[[int], Sequence[str]]:
    return lambda port: [sys.executable, "-m", module, *[flag.format(port=port) for flag in flags], "api.wsgi:app"]


WAITRESS = (f"--threads={THREADS}", "--listen=127.0.0.1:{port}", "--connection-limit=2000", "--asyncore-use-poll")
GRANIAN = ("--interface=wsgi", f"--blocking-threads={THREADS}", "--host=127.0.0.1", "--port={port}")
CONTESTANTS = (
    Contestant("ours", _pressroom),
    Contestant("gthread", _gunicorn("gthread")),
    Contestant("caddy", _gunicorn("gthread"), has_proxy=True),
    Contestant("waitress", _python("waitress", *WAITRESS)),
    Contestant("granian", _python("granian", *GRANIAN)),
    Contestant("asgi", _gunicorn("asgi", "tests.bench.service.slow_clients:build_bridge()")),
)


def build_bridge() -> Any:
    """Return the app behind the bridge, for gunicorn's own event loop."""
    from api.server.bridge import Bridge  # noqa: PLC0415
    from api.wsgi import app  # noqa: PLC0415

    return Bridge(app, ACTIVE, IDLE)


def main(words: list[str] | None = None) -> None:
    """Measure each server, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="slow clients of each kind")
    parser.add_argument("--orders", type=int, default=300, help="submits of the other owner for each kind")
    parser.add_argument("--servers", default=",".join(each.name for each in CONTESTANTS))
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    wanted = [each for each in CONTESTANTS if each.name in given.servers.split(",")]
    found = {each.name: measure(each, given.count, given.orders) for each in wanted}
    options = {key: value for key, value in vars(given).items() if key != "out"}
    notes = [
        f"{given.count} slow clients; the other owner has {CONNECTIONS} connections; {THREADS} threads; SQLite, fsync.",
        f"-: no {given.orders} submits within {PATIENCE_SECONDS} s.",
    ]
    Outcome("slow_clients", options, [_tabulate(found)], found, notes).write(given.out, lambda path: _draw(path, found))


def measure(contestant: Contestant, count: int, orders: int) -> dict[str, dict[str, float] | None]:
    """Return the other owner's figures, in milliseconds, by the kind of slow client; None where nothing was served."""
    found: dict[str, dict[str, float] | None] = {}
    for kind in (None, *KINDS):
        with _serving(contestant) as (target, key):
            _drive(target.port, key, 50)
            with ExitStack() as stack:
                if kind is not None:
                    stack.enter_context(attacking(target, kind, count))
                    time.sleep(SETTLING_SECONDS)
                figures = _drive(target.port, key, orders)
        name = NOBODY if kind is None else kind.name
        found[name] = figures
        print(contestant.name, name, figures, file=sys.stderr)
    return found


def _drive(port: int, key: str, orders: int) -> dict[str, float] | None:
    command = [sys.executable, "-m", "tests.bench.service.submit_load", str(port)]
    command += ["--connections", str(CONNECTIONS), "--orders", str(orders)]
    try:
        done = subprocess.run(
            command, input=f"{key}\n", cwd=ROOT, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return None
    seconds = json.loads(done.stdout)["seconds"]
    quantiles = statistics.quantiles(seconds, n=100)
    return {"p50 ms": statistics.median(seconds) * 1000, "p99 ms": quantiles[98] * 1000}


@contextmanager
def _serving(contestant: Contestant) -> Iterator[tuple[Target, str]]:
    """Run the server on a database of its own; yield it, and the key of the owner who is not slow."""
    port, behind = free_ports(2)
    with own_folder() as folder, ExitStack() as stack:
        database = Database(f"sqlite:///{folder}/pressroom.db")
        schema.upgrade_schema(database)
        with database.transaction() as session:
            catalog.register_models(session, [catalog.PAINTED_CARD])
            slow, other = keys.create_api_key(session, "eve"), keys.create_api_key(session, "ada")
        database.close()
        environ = {
            "PYTHONPATH": str(ROOT),
            "PRESSROOM_HOME": str(folder),
            "PRESSROOM_API_THREADS": str(ACTIVE),
            "PRESSROOM_MAX_QUEUED_JOBS": "1000000",
            "PRESSROOM_LOG_LEVEL": "ERROR",
        }
        inner = behind if contestant.has_proxy else port
        command = contestant.build_command(inner)
        stack.enter_context(running(command, folder, lambda: answers(inner), environ=environ))
        if contestant.has_proxy:
            (folder / "Caddyfile").write_text(CADDYFILE.format(port=port, behind=behind))
            caddy = shutil.which("caddy", path=f"{Path(sys.executable).parent}") or "caddy"
            proxy = [caddy, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
            stack.enter_context(running(proxy, folder, lambda: answers(port)))
        job = _post(port, slow, "/v1/jobs", {"prompt": "a lighthouse"})
        campaign = _post(port, slow, "/v1/campaigns", CAMPAIGN)
        for path in ("/openapi.json", "/v1/jobs?limit=100", f"/v1/campaigns/{campaign}/archive.zip"):
            _get(port, slow, path)  # what is asked for the first time takes longer, for whoever asks
        yield Target(port, slow, job, campaign), other


def _post(port: int, key: str, path: str, fields: dict[str, Any]) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request("POST", path, json.dumps(fields), headers)
    made = json.loads(connection.getresponse().read())
    connection.close()
    return str(made["id"])


def _get(port: int, key: str, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    connection.getresponse().read()
    connection.close()


def _tabulate(found: dict[str, dict[str, dict[str, float] | None]]) -> Table:
    names = [NOBODY, *(kind.name for kind in KINDS)]
    rows = [[name, *(_format(found[server][name]) for server in found)] for name in names]
    return Table("p99 of another owner's submits, ms", ["slow clients", *found], rows)


def _draw(path: Path, found: dict[str, dict[str, dict[str, float] | None]]) -> None:
    with plots.sheet(path, len(found), "p99 of another owner's submits beside slow clients, ms") as panels:
        for panel, (server, kinds) in zip(panels, found.items(), strict=True):
            shown = {kind: figures["p99 ms"] for kind, figures in kinds.items() if figures is not None}
            plots.draw_bars(panel, shown, server, NOBODY)


def _format(figures: dict[str, float] | None) -> str:
    return "-" if figures is None else f"{figures['p99 ms']:.0f}"


if __name__ == "__main__":
    main()
