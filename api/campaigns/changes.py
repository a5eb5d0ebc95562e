"""Create, update and run campaigns, as both the API and the console do."""

import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from api.auth.bearer import current_caller, require_scope
from api.campaigns import build_spec, queries, recipient_upload, serializers
from api.campaigns.schemas import Campaign, CampaignChanges, CampaignPath, NewCampaign
from api.jobs.submit import Created
from api.runtime.context import current_context
from api.runtime.owner_limits import require_room
from api.web.errors import RefusedError, refuse_request
from api.webhooks import receiver_url
from common.access.keys import Scope
from common.campaigns import deletion, lifecycle, queries as campaign_queries, safety
from common.campaigns.lifecycle import RetryScope
from common.campaigns.printing import budget, proofs
from common.campaigns.recipients import lists, revalidation
from common.campaigns.spec import CampaignSpec
from common.db.ids import create_id
from common.errors import BrokerUnavailableError
from common.jobs import dispatch, idempotency
from common.jobs.idempotency import Reservation
from common.logs import get_logger
from common.states.audit import Act
from common.states.campaigns import CampaignStatus
from common.states.jobs import Priority
from common.states.webhooks import EventType
from common.tables import Campaign as Row
from common.webhooks import endpoints
from common.webhooks.urls import parse_url

SALT_BYTES = 32

log = get_logger(__name__)


def insert_campaign(body: NewCampaign, raw: dict[str, Any], reservation: Reservation | None) -> Created[Campaign]:
    """Create the caller's campaign from *body*, parsed from *raw*, once per idempotency key; raise RefusedError."""
    context = current_context()
    spec = build_spec.build_campaign_spec(body)
    if faults := receiver_url.find_url_faults(body.webhook_url, "/webhook_url"):
        raise refuse_request(faults)
    row = Row(
        id=create_id() if reservation is None else reservation.job_id,
        owner=current_caller().owner,
        key_id=current_caller().key_id,
        status=CampaignStatus.DRAFT,
        salt=secrets.token_bytes(SALT_BYTES),
        currency=context.settings.currency,
        budget=Decimal(body.budget.amount),
        **_build_columns(body, spec, raw),
    )
    safety.tighten_campaign(row, current_caller().safety)
    with context.database.transaction() as session:
        if reservation is not None:
            hours = context.settings.idempotency_hours
            earlier = idempotency.reserve_idempotency_key(session, reservation, hours)
            if earlier is not None:
                known = queries.load_campaign(session, CampaignPath(campaign_id=earlier))
                return Created(serializers.serialize_campaign(session, known), is_new=False)
        open_ids = campaign_queries.select_open_campaign_ids(row.owner)
        most, advice = context.settings.max_campaigns, "Cancel or delete a campaign that is not needed first."
        require_room(session, row.owner, open_ids, most, "too_many_campaigns", advice)
        if row.webhook_url is not None:
            endpoints.ensure_direct_endpoint(session, context.cipher, row.owner)
        session.add(row)
        session.flush()
        return Created(serializers.serialize_campaign(session, row), is_new=True)


def update_campaign(path: CampaignPath, body: CampaignChanges, raw: dict[str, Any]) -> Campaign:
    """Update the caller's campaign with *body*, parsed from *raw*, and check its rows again; raise RefusedError."""
    before = queries.fetch_campaign(path)
    merged = before.body | raw
    whole = NewCampaign.model_validate(merged)
    spec = build_spec.build_campaign_spec(whole)
    if faults := receiver_url.find_url_faults(body.webhook_url, "/webhook_url"):
        raise refuse_request(faults)
    amount = None if body.budget is None else Decimal(body.budget.amount)
    with queries.lock_campaign(path) as (session, row):
        if row.status not in lists.UNAPPROVED or row.body != before.body:
            raise RefusedError("invalid_state", f"The campaign is {row.status} or is being changed by another request.")
        is_checked = revalidation.needs_revalidation(CampaignSpec.from_row(row.spec), spec)
        if not is_checked or row.status is not CampaignStatus.READY:
            return _update_row(session, row, _build_columns(whole, spec, merged), amount)
        opened = revalidation.reopen_lists(session, row, spec)
    with (
        recipient_upload.revalidate_recipients(path, opened) as filled,
        queries.lock_campaign(path) as (session, row),
    ):
        for (_, loading), intake in zip(opened, filled, strict=True):
            lists.finish_list(session, row, loading, intake.contents, intake.digest)
        return _update_row(session, row, _build_columns(whole, spec, merged), amount)


def _update_row(session: Session, row: Row, columns: dict[str, Any], amount: Decimal | None) -> Campaign:
    """Update the columns of the locked *row*, and its budget unless *amount* is None; return its representation."""
    if row.spec != columns["spec"]:
        proofs.discard_proofs(session, row)
    for name, value in columns.items():
        setattr(row, name, value)
    if amount is not None:
        session.flush()
        with queries.record_change(session, row, Act.CAMPAIGN_BUDGET_CHANGED):
            budget.change_budget(session, row, amount)
    if row.webhook_url is not None:
        endpoints.ensure_direct_endpoint(session, current_context().cipher, row.owner)
    session.flush()
    shown = serializers.serialize_campaign(session, row)
    row.digest = shown.spec_digest
    return shown


def _build_columns(body: NewCampaign, spec: CampaignSpec, raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": body.name,
        "body": raw,
        "spec": spec.model_dump(mode="json"),
        "priority": body.priority or Priority.BULK,
        "start_at": body.start_at,
        "deadline_at": body.deadline,
        "webhook_url": None if body.webhook_url is None else parse_url(body.webhook_url).url,
        "webhook_events": None
        if body.webhook_events is None
        else [*map(EventType, dict.fromkeys(body.webhook_events))],
    }


def _start_campaign(session: Session, row: Row) -> None:
    lifecycle.start_campaign(session, row, current_context().settings)


def _resume_campaign(session: Session, row: Row) -> None:
    lifecycle.resume_campaign(session, row, current_context().settings)


def _cancel_campaign(session: Session, row: Row) -> bool:
    is_open = row.status is not CampaignStatus.CANCELED
    if is_open:
        lifecycle.cancel_campaign(session, row)
    return is_open


def _retry_prints(session: Session, row: Row, only: RetryScope | None) -> int:
    return lifecycle.retry_prints(session, row, only, current_context().settings)


def _change_budget(session: Session, row: Row, amount: Decimal) -> None:
    if amount > row.budget and lifecycle.is_approved_budget(row):
        require_scope(Scope.CAMPAIGNS_APPROVE, "to raise the budget of an approved campaign", "/amount")
    lifecycle.change_budget(session, row, amount, current_context().settings)


class Action(NamedTuple):
    """An action on a locked campaign, its name in the audit trail, and whether presses should hear of queued jobs."""

    run: Callable[..., bool | int | None]
    act: Act
    queues_jobs: bool


ACTIONS = {
    "start": Action(_start_campaign, Act.CAMPAIGN_STARTED, queues_jobs=True),
    "pause": Action(lifecycle.pause_campaign, Act.CAMPAIGN_PAUSED, queues_jobs=False),
    "resume": Action(_resume_campaign, Act.CAMPAIGN_RESUMED, queues_jobs=True),
    "cancel": Action(_cancel_campaign, Act.CAMPAIGN_CANCELED, queues_jobs=False),
    "retry": Action(_retry_prints, Act.CAMPAIGN_RETRIED, queues_jobs=True),
    "budget": Action(_change_budget, Act.CAMPAIGN_BUDGET_CHANGED, queues_jobs=True),
}
"""The actions on a campaign by name; ``retry`` takes *only*, and ``budget`` takes *amount*."""


def act_on_campaign(path: CampaignPath, name: str, **arguments: object) -> bool:
    """Perform one of ``ACTIONS`` on the caller's campaign, and return whether there was anything to do.

    Raises RefusedError or IllegalTransitionError.
    """
    action = ACTIONS[name]
    with queries.lock_campaign(path) as (session, row), queries.record_change(session, row, action.act):
        has_changed = action.run(session, row, **arguments)
    if action.queues_jobs:
        notify_presses()
    return has_changed is None or bool(has_changed)


def delete_campaign(path: CampaignPath) -> None:
    """Delete the caller's campaign; raise RefusedError or IllegalTransitionError."""
    with queries.lock_campaign(path) as (session, row), queries.record_change(session, row, Act.CAMPAIGN_DELETED):
        deletion.hide_campaign(session, row)


def notify_presses() -> None:
    """Notify the presses of newly queued jobs now, rather than wait for the clerk to do it."""
    try:
        dispatch.notify_due_jobs(current_context().database, current_context().notifier)
    except BrokerUnavailableError as error:
        log.warning("notification_failed", reason=error.code)
