"""``pressroom top``: live view of presses, queue and costs."""

import sys
import time
from datetime import datetime

import click

from common.cli.client import Json
from common.cli.connection import connect_client_as
from common.cli.output import as_json_option, print_json, print_table
from common.cli.owner_client import OwnerClient
from common.clock import utcnow

REFRESH_SECONDS = 2.0


@click.command()
@click.option(
    "--every", default=REFRESH_SECONDS, show_default=True, type=click.FloatRange(0.5), help="Refresh interval."
)
@click.option("--once", is_flag=True, help="Print once and exit; the default if the output is not a terminal.")
@as_json_option
def top(every: float, once: bool, as_json: bool) -> None:
    """Show presses, lanes, queue, throughput and costs live; Ctrl-C exits.

    Keys with the scope usage:all see all presses, others the jobs of their owner. --json prints once and exits.
    """
    with connect_client_as(OwnerClient) as client:
        if as_json:
            print_json(client.overview())
            return
        while True:
            overview = client.overview()
            if once or not sys.stdout.isatty():
                _print_overview(overview)
                return
            click.clear()
            _print_overview(overview)
            time.sleep(every)


def _print_overview(overview: Json) -> None:
    click.echo(_format_headline(overview))
    if overview["all_owners"]:
        _print_backlog(overview.get("retention_backlog") or {})
        click.echo()
        _print_presses(overview["presses"])
    if overview["queue"]:
        click.echo()
        rows = [
            [", ".join(each["lane"]), each["priority"], each["jobs"], each["images"], _format_age(each["oldest_at"])]
            for each in overview["queue"]
        ]
        print_table(["waiting", "priority", "jobs", "images", "oldest"], rows)
    if overview["failures"]:
        click.echo()
        print_table(
            ["failed job", "model", "reason", "ago"],
            [[each["job_id"], each["model"], each["code"], _format_age(each["at"])] for each in overview["failures"]],
        )


def _print_backlog(backlog: Json) -> None:
    if backlog.get("since") is not None:
        age = _format_age(backlog["since"])
        click.echo(f"overdue for erasure · images: {backlog['images']} · prompts: {backlog['prompts']} · oldest: {age}")


def _format_headline(overview: Json) -> str:
    parts = [
        *([f"{len(overview['presses'])} presses"] if overview["all_owners"] else []),
        f"{overview['running']} printing",
        f"{overview['queued']} waiting",
        f"{overview['images_per_minute']:g} images/min",
        f"{overview['images_last_hour']} images in the last hour for {_format_money(overview['charged_last_hour'])}",
        *([f"presses cost {_format_money(overview['per_hour'])} per hour"] if overview["all_owners"] else []),
    ]
    return " · ".join(parts)


def _print_presses(presses: list[Json]) -> None:
    rows: list[list[object]] = []
    for press in presses:
        share = press["utilisation"]
        facts = [press["host"], press["accelerator"], None if share is None else f"{share:.0%}"]
        lanes = press["printing"] or [None]
        idle = f"takes no jobs: {press['fault']}" if press["fault"] else "idle"
        for place, lane in enumerate(lanes):
            rows.append([*(facts if place == 0 else ["", "", ""]), *_format_lane(lane, idle)])
    print_table(["press", "accelerator", "busy", "printing", "images", "steps"], rows)


def _format_lane(lane: Json | None, idle: str) -> list[object]:
    if lane is None:
        return [idle, None, None]
    return [", ".join(lane["lane"]), lane["images"], f"{lane['step']} of {lane['steps']}"]


def _format_money(amounts: list[Json]) -> str:
    return " + ".join(f"{each['amount']} {each['currency']}" for each in amounts) or "nothing"


def _format_age(moment: str | None) -> str:
    """Format the age of a time in its largest unit."""
    if moment is None:
        return "–"
    seconds = max(0.0, (utcnow() - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
