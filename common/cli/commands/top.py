"""``pressroom top``: the press floor, live."""

import sys
import time
from datetime import datetime

import click

from common.cli.client import Json, OwnerClient
from common.cli.connection import connect_as
from common.cli.output import as_json_option, print_json, print_table
from common.clock import utcnow

BEAT_SECONDS = 2.0


@click.command()
@click.option("--every", default=BEAT_SECONDS, show_default=True, type=click.FloatRange(0.5), help="Seconds.")
@click.option("--once", is_flag=True, help="Print the floor once; so it is too where nobody looks at a terminal.")
@as_json_option
def top(every: float, once: bool, as_json: bool) -> None:
    """Watch the press floor: presses, lanes, queue, images a minute, money. Ctrl-C ends it.

    With the scope usage:house it is the whole house, else the jobs of the key's owner. --json prints it once.
    """
    with connect_as(OwnerClient) as client:
        if as_json:
            print_json(client.floor())
            return
        while True:
            floor = client.floor()
            if once or not sys.stdout.isatty():
                _print(floor)
                return
            click.clear()
            _print(floor)
            time.sleep(every)


def _print(floor: Json) -> None:
    click.echo(_headline(floor))
    if floor["house"]:
        click.echo()
        _print_presses(floor["presses"])
    if floor["queue"]:
        click.echo()
        rows = [
            [", ".join(each["lane"]), each["priority"], each["jobs"], each["images"], _age(each["oldest_at"])]
            for each in floor["queue"]
        ]
        print_table(["waiting", "priority", "jobs", "images", "oldest"], rows)
    if floor["failures"]:
        click.echo()
        print_table(
            ["failed job", "model", "reason", "ago"],
            [[each["job_id"], each["model"], each["code"], _age(each["at"])] for each in floor["failures"]],
        )


def _headline(floor: Json) -> str:
    parts = [
        *([f"{len(floor['presses'])} presses"] if floor["house"] else []),
        f"{floor['running']} printing",
        f"{floor['queued']} waiting",
        f"{floor['images_per_minute']:g} images/min",
        f"{floor['images_last_hour']} images this hour for {_money(floor['charged_last_hour'])}",
        *([f"presses cost {_money(floor['per_hour'])} an hour"] if floor["house"] else []),
    ]
    return " · ".join(parts)


def _print_presses(presses: list[Json]) -> None:
    rows: list[list[object]] = []
    for press in presses:
        share = press["utilisation"]
        facts = [press["host"], press["accelerator"], None if share is None else f"{share:.0%}"]
        lanes = press["printing"] or [None]
        for place, lane in enumerate(lanes):
            rows.append([*(facts if place == 0 else ["", "", ""]), *_tell_lane(lane)])
    print_table(["press", "accelerator", "busy", "printing", "images", "steps"], rows)


def _tell_lane(lane: Json | None) -> list[object]:
    if lane is None:
        return ["idle", None, None]
    return [", ".join(lane["lane"]), lane["images"], f"{lane['step']} of {lane['steps']}"]


def _money(amounts: list[Json]) -> str:
    return " + ".join(f"{each['amount']} {each['currency']}" for each in amounts) or "nothing"


def _age(moment: str | None) -> str:
    """Return how long ago a time was, in its largest unit."""
    if moment is None:
        return "–"
    seconds = max(0.0, (utcnow() - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"
