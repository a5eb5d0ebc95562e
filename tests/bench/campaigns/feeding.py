"""What it costs to feed a row of a campaign and to settle its print, beside inserting a row and calling ``delay()``."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from common.campaigns import lifecycle, status
from common.campaigns.printing import ordering, settlement
from common.db import schema
from common.db.engine import Database
from common.settings import Settings
from common.states.campaigns import CampaignStatus
from tests.bench.campaigns.importing import HEADER
from tests.bench.outcome import Table
from tests.support.campaigns.campaign_fixture import PRICE, CampaignFixture, names
from tests.support.servers import services
from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import own_folder


@dataclass(frozen=True)
class Cost:
    """Milliseconds a row."""

    fed: float
    settled: float
    plain: float


def measure(kind: str, windows: int) -> Cost:
    """Feed and settle so many windows on a database of that *kind*; the loop goes over as many rows as one has."""
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        broker = stack.enter_context(services.start_redis())
        urls = [f"sqlite:///{folder}/{name}.db" for name in ("ours", "plain")]
        if kind == "postgresql":
            server = stack.enter_context(services.start_postgresql(durable=True))
            urls = [services.create_database(server, name) for name in ("ours", "plain")]
        database = Database(urls[0])
        schema.upgrade_schema(database)
        fed, settled = _feed(CampaignFixture(database, Settings(home=Path(folder))), windows)
        database.close()
        return Cost(fed, settled, _loop(urls[1], broker, ordering.WINDOW))


def tabulate(found: dict[str, Cost]) -> Table:
    """Return the table."""
    rows = [[kind, f"{cost.fed:.2f}", f"{cost.settled:.2f}", f"{cost.plain:.2f}"] for kind, cost in found.items()]
    return Table("Milliseconds a row", ["", "to feed", "to settle", "insert + delay()"], rows)


def _feed(campaign_fixture: CampaignFixture, windows: int) -> tuple[float, float]:
    """Return the milliseconds that a row takes to be fed, and its print to be settled."""
    campaign_id = campaign_fixture.campaign(names(ordering.WINDOW * windows), reservation=PRICE)
    campaign_fixture.do(campaign_id, lifecycle.start_campaign, campaign_fixture.settings)
    campaign_fixture.do(campaign_id, lifecycle.pause_campaign)
    campaign_fixture.do(campaign_id, status.move_campaign, CampaignStatus.RUNNING)
    fed = settled = 0.0
    for _ in range(windows):
        fed += _time(lambda: campaign_fixture.do(campaign_id, ordering.submit_next_prints, campaign_fixture.settings))
        while (held := campaign_fixture.claim()) is not None:
            campaign_fixture.publish(held)
        settled += _time(lambda: campaign_fixture.do(campaign_id, settlement.settle_prints))
    rows = ordering.WINDOW * windows / 1000
    return fed / rows, settled / rows


def _time(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _loop(database_url: str, broker_url: str, rows: int) -> float:
    text = HEADER + "".join(f"{number},Ada,Accra,fox,Street\n" for number in range(rows))
    command = [sys.executable, "-m", "tests.bench.campaigns.plain_rows", database_url, broker_url]
    done = subprocess.run(command, input=text, cwd=ROOT, check=True, capture_output=True, text=True)
    ran = json.loads(done.stdout)
    return float(ran["seconds"]) / int(ran["rows"]) * 1000
