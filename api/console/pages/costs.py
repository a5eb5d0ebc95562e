"""Costs: what was spent by day, model and key; delivered against waste; for the house, what an image really costs."""

import csv
import io
import json
from datetime import datetime, timedelta
from decimal import Decimal

from flask import render_template
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.access import visitor
from api.console.query_params import chosen, read_choice, read_day
from api.console.rendering import render
from api.console.routing import page
from api.console.state import desk
from api.runtime.context import services
from common.clock import utcnow
from common.keys import Scope
from common.usage import operator_report, usage
from common.usage.usage import GroupBy, Usage

DEFAULT_DAYS = 30
FRESH_SECONDS = 30.0
"""How old the figures of a page may be: they are sums over everything that was spent."""

LONGEST = timedelta(days=400)
COLUMNS = (
    *("group", "jobs", "attempts", "images", "gpu_seconds", "delivered_gpu_seconds", "waste_gpu_seconds"),
    *("charged", "currency"),
)


@page("/costs", Scope.USAGE_READ)
def show_costs() -> Response:
    """Show what was spent in a span of days."""
    since, until = _read_span()
    group_by, owner = read_choice("by", GroupBy) or GroupBy.MODEL, caller().owner
    name = ("costs", owner, since, until, group_by)
    numbers = desk().snapshots.read(name, lambda: _draw_numbers(owner, since, until, group_by), FRESH_SECONDS)
    return render(
        "costs/costs.html",
        since=since,
        until=until - timedelta(days=1),
        numbers=numbers.html,
        group_by=group_by,
        choices=[*GroupBy],
        sees_house=visitor().may(Scope.USAGE_HOUSE),
    )


@page("/costs/house", Scope.USAGE_HOUSE)
def show_house() -> Response:
    """Show how all presses spent a span of days, and what an image really cost."""
    since, until = _read_span()
    with services().database.reading() as session:
        account = operator_report.account(session, since, until)
    meter, ledger = account.total.meter, account.total.ledger
    parts = {"delivered": ledger.delivered, "running": ledger.running, **_prefix("waste", ledger.waste)}
    parts |= {**_prefix("overhead", meter.overhead), "idle": account.total.idle}
    return render(
        "costs/house.html",
        since=since,
        until=until - timedelta(days=1),
        house=account,
        parts={name: seconds for name, seconds in parts.items() if seconds > usage.ROUNDING},
        filters=chosen("since", "until"),
    )


@page("/costs/table.csv", Scope.USAGE_READ)
def download_costs() -> Response:
    """Answer with the same table for a spreadsheet: a line a group and currency."""
    since, until = _read_span()
    group_by = read_choice("by", GroupBy) or GroupBy.DAY
    with services().database.reading() as session:
        groups = usage.tally_by(session, caller().owner, since, until, group_by)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for name, group in groups.items():
        for currency, amount in (group.amounts or {"": Decimal(0)}).items():
            spent = (group.gpu_seconds, group.delivered, sum(group.waste.values()))
            images = group.images.get(currency, 0)
            writer.writerow([name, group.jobs, group.attempts, images, *map(_spell, spent), amount, currency])
    response = Response(file.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="pressroom-costs-by-{group_by}.csv"'
    return response


def _draw_numbers(owner: str, since: datetime, until: datetime, group_by: GroupBy) -> str:
    with services().database.reading() as session:
        days = usage.tally_by(session, owner, since, until, GroupBy.DAY)
        if group_by is GroupBy.DAY:
            groups, total = days, usage.tally(session, owner, since, until)
        else:
            groups = usage.tally_by(session, owner, since, until, group_by)
            total = sum(groups.values(), Usage())  # all attempts at a job are of one group, unless groups are days
    return render_template(
        "console/costs/numbers.html",
        total=total,
        groups=groups,
        group_by=group_by,
        series=json.dumps(_draw(days, since, until)),
        filters=chosen("since", "until", "by"),
    )


def _read_span() -> tuple[datetime, datetime]:
    today = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    until = read_day("until", after=True) or today + timedelta(days=1)
    since = read_day("since") or until - timedelta(days=DEFAULT_DAYS)
    return max(min(since, until - timedelta(days=1)), until - LONGEST), until


def _draw(days: dict[str, Usage], since: datetime, until: datetime) -> list[list[float]]:
    """Return the chart's columns: days as Unix seconds, seconds delivered, seconds wasted, money charged."""
    columns: list[list[float]] = [[], [], [], []]
    day, today = since, min(until, utcnow())
    while day < today:
        spent = days.get(day.date().isoformat(), Usage())
        values = (day.timestamp(), spent.delivered, sum(spent.waste.values()), float(sum(spent.amounts.values())))
        for column, value in zip(columns, values, strict=True):
            column.append(value)
        day += timedelta(days=1)
    return columns


def _prefix(kind: str, named: dict[str, float]) -> dict[str, float]:
    return {f"{kind}: {name.replace('_', ' ')}": seconds for name, seconds in named.items()}


def _spell(seconds: float) -> str:
    return f"{seconds:.3f}"
