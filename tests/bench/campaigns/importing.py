"""How fast recipients are taken in, and in how much memory: a file over HTTP, each of its rows rendered and checked.

Ours is the api behind its real server; the plain loop is ``tests.bench.campaigns.plain_rows``. Both use the same
database server and broker, and what either commits is on the disk.
"""

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from common.access import keys
from common.db import schema
from common.db.engine import Database
from common.models import catalog
from tests.bench.outcome import Table
from tests.support.servers import services
from tests.support.servers.api_servers import ROOT, answers
from tests.support.servers.processes import free_ports, own_folder, running

HEADER = "recipient_id,first_name,city,animal,street\n"
NAMES = ("Ada", "Béatrice", "Chidi", "Dmitri", "Esi", "Fatima", "Grace", "Hồng")
CITIES = ("Accra", "Bergen", "Cusco", "Dakar", "Łódź", "Montréal", "Quito")
ANIMALS = ("fox", "owl", "hare", "seal", "")
TEMPLATE = "a {{ animal | default: 'cat' }} in {{ city }} with a cake for {{ first_name }}"
MEBIBYTE = 2**20
WARM_UP = 500


@dataclass(frozen=True)
class Server:
    """An api that is up, the key to it, and the process that serves."""

    port: int
    key: str
    worker: int


@dataclass(frozen=True)
class Taken:
    """What came of the rows of one kind of database."""

    rows_per_second: float
    plain_rows_per_second: float
    mebibytes: float
    """By how much the api's process grew at its largest."""

    @property
    def ratio(self) -> float:
        """Return how many times as fast ours is."""
        return self.rows_per_second / self.plain_rows_per_second


def measure(kind: str, rows: int, plain_rows: int) -> Taken:
    """Take so many rows in on a database of that *kind*."""
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        broker = stack.enter_context(services.start_redis())
        urls = [f"sqlite:///{folder}/{name}.db" for name in ("ours", "plain")]
        if kind == "postgresql":
            server = stack.enter_context(services.start_postgresql(durable=True))
            urls = [services.create_database(server, name) for name in ("ours", "plain")]
        ours = stack.enter_context(_serving(urls[0], broker))
        _take_in(ours, WARM_UP)
        before = _reset_peak(ours.worker)
        seconds = _take_in(ours, rows)
        grown = _read_status(ours.worker, "VmHWM") - before
        command = [sys.executable, "-m", "tests.bench.campaigns.plain_rows", urls[1], broker]
        text = "".join(_spell(plain_rows))
        done = subprocess.run(command, input=text, cwd=ROOT, check=True, capture_output=True, text=True)
        plain = json.loads(done.stdout)
        return Taken(rows / seconds, plain["rows"] / plain["seconds"], grown / MEBIBYTE)


def tabulate(found: dict[str, Taken], rows: int) -> Table:
    """Return the table."""
    shown = [
        [
            kind,
            f"{each.rows_per_second:,.0f}",
            f"{each.plain_rows_per_second:,.0f}",
            f"{each.ratio:.1f} ×",
            f"{each.mebibytes:.1f}",
        ]
        for kind, each in found.items()
    ]
    columns = ["", "rows/s", "plain loop rows/s", "ours ÷ plain", "api grew by MiB"]
    return Table(f"{rows:,} recipients from CSV", columns, shown)


@contextmanager
def _serving(url: str, broker: str) -> Iterator[Server]:
    database = Database(url)
    schema.upgrade_schema(database)
    with database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        key = keys.create_api_key(session, "bench")
    database.close()
    (port,) = free_ports(1)
    with own_folder() as folder:
        environ = {
            "PYTHONPATH": str(ROOT),
            "PRESSROOM_HOME": str(folder),
            "PRESSROOM_BIND": f"127.0.0.1:{port}",
            "PRESSROOM_DATABASE_URL": url,
            "PRESSROOM_REDIS_URL": broker,
            "PRESSROOM_MAX_RECIPIENTS": "1000000",
        }
        command = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"]
        with running(command, folder, lambda: answers(port), environ=environ) as process:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            yield Server(port, key, int(children.split()[0]))


def _take_in(server: Server, rows: int) -> float:
    """Make a campaign, hand it so many recipients and return the seconds that this took."""
    fields = {"name": "bench", "template": {"prompt": TEMPLATE}, "budget": {"amount": "1"}}
    made = _ask(server, "POST", "/v1/campaigns", "application/json", [json.dumps(fields).encode()])
    lines = (line.encode() for line in _spell(rows))
    began = time.perf_counter()
    taken = _ask(server, "PUT", f"/v1/campaigns/{made['id']}/recipients", "text/csv", lines)
    seconds = time.perf_counter() - began
    if taken["accepted"] != rows:
        raise RuntimeError(f"of {rows} rows {taken['accepted']} were taken")
    return seconds


def _ask(server: Server, method: str, path: str, media_type: str, body: Iterator[bytes] | Sequence[bytes]) -> dict:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    headers = {"Authorization": f"Bearer {server.key}", "Content-Type": media_type, "Transfer-Encoding": "chunked"}
    connection.request(method, path, _bundle(body), headers, encode_chunked=True)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    if answer.status >= 300:
        raise RuntimeError(f"{answer.status}: {content['detail']}")
    return content


def _bundle(parts: Iterator[bytes] | Sequence[bytes], size: int = 64 * 1024) -> Iterator[bytes]:
    held = bytearray()
    for part in parts:
        held += part
        if len(held) >= size:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _spell(rows: int) -> Iterator[str]:
    yield HEADER
    for number in range(rows):
        name, city = NAMES[number % len(NAMES)], CITIES[number % len(CITIES)]
        yield f'customer-{number:07},{name},{city},{ANIMALS[number % len(ANIMALS)]},"{number} Long Street, {city}"\n'


def _reset_peak(process: int) -> int:
    """Forget the largest that *process* has been, and return the bytes that it has now."""
    Path(f"/proc/{process}/clear_refs").write_text("5")
    return _read_status(process, "VmRSS")


def _read_status(process: int, name: str) -> int:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))
