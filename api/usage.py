"""``/v1/usage``: what was spent, on what, and what of it was charged."""

from datetime import UTC, datetime, timedelta

from flask import Response

from api import operations
from api.auth import caller, needs
from api.context import services
from api.schemas.usage import Money, UsageQuery, UsageReport, UsageRow
from common import usage
from common.clock import utcnow
from common.keys import Scope
from common.usage import Usage

blueprint = operations.create_blueprint("usage", "What was spent.", "/v1/usage")

DEFAULT_SPAN = timedelta(days=30)


@blueprint.get("", **operations.describe(Scope.USAGE_READ, {200: UsageReport}, 422))
@needs(Scope.USAGE_READ)
def get_usage(query: UsageQuery) -> Response:
    """Account for accelerator seconds and money."""
    owner, (since, until) = caller().owner, _span(query)
    with services().database.reading() as session:
        total = usage.tally(session, owner, since, until)
        groups = usage.tally_by(session, owner, since, until, query.group_by) if query.group_by else {}
    report = UsageReport(
        since=since,
        until=until,
        group_by=query.group_by,
        data=[_show(name, group) for name, group in groups.items()],
        total=_show(None, total),
    )
    return operations.answer(report)


def _span(query: UsageQuery) -> tuple[datetime, datetime]:
    until = query.until or utcnow()
    earliest = datetime.min.replace(tzinfo=UTC) + DEFAULT_SPAN
    return query.since or max(until, earliest) - DEFAULT_SPAN, until


def _show(name: str | None, group: Usage) -> UsageRow:
    return UsageRow(
        group=name,
        jobs=group.jobs,
        attempts=group.attempts,
        images=group.images,
        gpu_seconds=group.gpu_seconds,
        delivered_gpu_seconds=group.delivered,
        running_gpu_seconds=group.running,
        waste_gpu_seconds=group.waste,
        charged=[Money(amount=amount, currency=currency) for currency, amount in sorted(group.amounts.items())],
    )
