"""``/v1/usage``: usage and charges of an owner, and the operator's report on all presses."""

from datetime import UTC, datetime, timedelta
from typing import Any

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.runtime.context import current_context
from api.system.usage_schemas import (
    Money,
    OperatorAccount,
    OperatorMoney,
    OperatorPress,
    OperatorReport,
    SpanQuery,
    UsageQuery,
    UsageReport,
    UsageRow,
)
from api.web import responses
from common.access.keys import Scope
from common.clock import utcnow
from common.tables import Press
from common.usage import operator_report, owner_usage
from common.usage.operator_report import PressAccount
from common.usage.usage import Usage

blueprint = responses.create_blueprint("usage", "Usage and charges.", "/v1/usage")

DEFAULT_SPAN = timedelta(days=30)
MOST_PRESSES = 100


@blueprint.get("", **responses.describe_route(Scope.USAGE_READ, {200: UsageReport}, 422))
@scope_required(Scope.USAGE_READ)
def get_usage(query: UsageQuery) -> Response:
    """Get usage in accelerator seconds and money."""
    owner, (since, until) = current_caller().owner, _resolve_span(query)
    with current_context().database.reading() as session:
        if query.group_by is None:
            groups, total = {}, owner_usage.load_usage(session, owner, since, until)
        else:
            groups = owner_usage.load_usage_by_group(session, owner, since, until, query.group_by)
            total = sum(groups.values(), Usage())
    report = UsageReport(
        since=since,
        until=until,
        group_by=query.group_by,
        data=[_serialize_usage_row(name, group) for name, group in groups.items()],
        total=_serialize_usage_row(None, total),
    )
    return responses.respond_json(report)


@blueprint.get("/operator", **responses.describe_route(Scope.USAGE_ALL, {200: OperatorReport}, 422))
@scope_required(Scope.USAGE_ALL)
def get_operator_report(query: SpanQuery) -> Response:
    """Get the usage of all presses for all owners: delivered, wasted, overhead and idle time, energy and money."""
    since, until = _resolve_span(query)
    with current_context().database.reading() as session:
        found = operator_report.build_operator_report(session, since, until)
    report = OperatorReport(
        since=since,
        until=until,
        data=[_serialize_press(press, account) for press, account in found.presses[:MOST_PRESSES]],
        has_more=len(found.presses) > MOST_PRESSES,
        total=OperatorAccount(**_serialize_account(found.total)),
        money=[
            OperatorMoney(
                currency=currency,
                up_amount=money.up,
                charged_amount=money.charged,
                images=money.images,
                amount_per_image=money.per_image,
            )
            for currency, money in found.money.items()
        ],
    )
    return responses.respond_json(report)


def _resolve_span(query: SpanQuery) -> tuple[datetime, datetime]:
    until = query.until or utcnow()
    earliest = datetime.min.replace(tzinfo=UTC) + DEFAULT_SPAN
    return query.since or max(until, earliest) - DEFAULT_SPAN, until


def _serialize_usage_row(name: str | None, group: Usage) -> UsageRow:
    return UsageRow(
        group=name,
        jobs=group.jobs,
        attempts=group.attempts,
        images=sum(group.images.values()),
        gpu_seconds=group.gpu_seconds,
        delivered_gpu_seconds=group.delivered,
        running_gpu_seconds=group.running,
        waste_gpu_seconds=group.waste,
        charged=[Money(amount=amount, currency=currency) for currency, amount in sorted(group.amounts.items())],
    )


def _serialize_press(press: Press, account: PressAccount) -> OperatorPress:
    return OperatorPress(
        id=press.id,
        host=press.host,
        accelerator=press.accelerator,
        models=press.models,
        price_per_hour=press.price_per_hour,
        currency=press.currency,
        up_amount=operator_report.price_uptime(press, account.up),
        started_at=press.started_at,
        heartbeat_at=press.heartbeat_at,
        stopped_at=press.stopped_at,
        **_serialize_account(account),
    )


def _serialize_account(account: PressAccount) -> dict[str, Any]:
    meter, ledger = account.meter, account.ledger
    return {
        "up_seconds": account.up,
        "busy_gpu_seconds": meter.busy,
        "idle_seconds": account.idle,
        "utilisation": account.utilisation,
        "delivered_share": account.delivered_share,
        "attempts": ledger.attempts,
        "images": sum(ledger.images.values()),
        "delivered_gpu_seconds": ledger.delivered,
        "running_gpu_seconds": ledger.running,
        "waste_gpu_seconds": ledger.waste,
        "overhead_gpu_seconds": meter.overhead,
        "carried_gpu_seconds": account.carried,
        "cpu_seconds": meter.cpu,
        "energy_joules": meter.energy,
    }
