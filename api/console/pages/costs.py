"""Costs by day, model and key, with delivered and wasted time; for the operator, the full cost per image."""

import csv
import io
import json
from datetime import datetime, timedelta
from decimal import Decimal

from flask import render_template
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.access import current_user
from api.console.query_params import read_choice, read_day, read_filters
from api.console.rendering import render_page
from api.console.routing import register_page
from api.console.state import console_state
from api.runtime.context import current_context
from common.access.keys import Scope
from common.clock import utcnow
from common.usage import operator_report, owner_usage, usage
from common.usage.owner_usage import GroupBy
from common.usage.usage import Usage

DEFAULT_DAYS = 30
FRESH_SECONDS = 30.0
"""The maximum age of the figures."""

LONGEST_SPAN = timedelta(days=400)
COLUMNS = (
    *("group", "jobs", "attempts", "images", "gpu_seconds", "delivered_gpu_seconds", "waste_gpu_seconds"),
    *("charged", "currency"),
)


@register_page("/costs", Scope.USAGE_READ)
def show_costs() -> Response:
    """Show the costs of a period."""
    since, until = _read_span()
    group_by, owner = read_choice("by", GroupBy) or GroupBy.MODEL, current_caller().owner
    name = ("costs", owner, since, until, group_by)
    numbers = console_state().snapshots.read(
        name, lambda: _render_numbers(owner, since, until, group_by), FRESH_SECONDS
    )
    return render_page(
        "costs/costs.html",
        since=since,
        until=until - timedelta(days=1),
        numbers=numbers.html,
        group_by=group_by,
        choices=[*GroupBy],
        sees_all=current_user().may(Scope.USAGE_ALL),
    )


@register_page("/costs/operator", Scope.USAGE_ALL)
def show_operator_report() -> Response:
    """Show how all presses were used in a period, and the full cost per image."""
    since, until = _read_span()
    with current_context().database.reading() as session:
        report = operator_report.build_operator_report(session, since, until)
    meter, ledger = report.total.meter, report.total.ledger
    parts = {"delivered": ledger.delivered, "running": ledger.running, **_prefix_names("waste", ledger.waste)}
    parts |= {**_prefix_names("overhead", meter.overhead), "idle": report.total.idle}
    return render_page(
        "costs/operator.html",
        since=since,
        until=until - timedelta(days=1),
        report=report,
        parts={name: seconds for name, seconds in parts.items() if seconds > usage.ROUNDING},
        filters=read_filters("since", "until"),
    )


@register_page("/costs/table.csv", Scope.USAGE_READ)
def download_costs() -> Response:
    """Return the table as CSV: one line per group and currency."""
    since, until = _read_span()
    group_by = read_choice("by", GroupBy) or GroupBy.DAY
    with current_context().database.reading() as session:
        groups = owner_usage.load_usage_by_group(session, current_caller().owner, since, until, group_by)
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    for name, group in groups.items():
        for currency, amount in (group.amounts or {"": Decimal(0)}).items():
            spent = (group.gpu_seconds, group.delivered, sum(group.waste.values()))
            images = group.images.get(currency, 0)
            writer.writerow([name, group.jobs, group.attempts, images, *map(_format_seconds, spent), amount, currency])
    response = Response(file.getvalue(), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="pressroom-costs-by-{group_by}.csv"'
    return response


def _render_numbers(owner: str, since: datetime, until: datetime, group_by: GroupBy) -> str:
    with current_context().database.reading() as session:
        days = owner_usage.load_usage_by_group(session, owner, since, until, GroupBy.DAY)
        groups = (
            days if group_by is GroupBy.DAY else owner_usage.load_usage_by_group(session, owner, since, until, group_by)
        )
    return render_template(
        "console/costs/numbers.html",
        total=sum(groups.values(), Usage()),
        groups=groups,
        group_by=group_by,
        series=json.dumps(_build_chart_columns(days, since, until)),
        filters=read_filters("since", "until", "by"),
    )


def _read_span() -> tuple[datetime, datetime]:
    today = utcnow().replace(hour=0, minute=0, second=0, microsecond=0)
    until = read_day("until", after=True) or today + timedelta(days=1)
    since = read_day("since") or until - timedelta(days=DEFAULT_DAYS)
    return max(min(since, until - timedelta(days=1)), until - LONGEST_SPAN), until


def _build_chart_columns(days: dict[str, Usage], since: datetime, until: datetime) -> list[list[float]]:
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


def _prefix_names(kind: str, named: dict[str, float]) -> dict[str, float]:
    return {f"{kind}: {name.replace('_', ' ')}": seconds for name, seconds in named.items()}


def _format_seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
