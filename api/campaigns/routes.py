"""``/v1/campaigns``: one template for many recipients; make one, look at it, change it, approve it, delete it."""

import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.campaigns import build_spec, recipient_upload, serializers
from api.campaigns.schemas import (
    Approval,
    Campaign,
    CampaignChanges,
    CampaignPage,
    CampaignPath,
    CampaignQuery,
    NewCampaign,
    NewCampaignHeaders,
)
from api.jobs import submit
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError, refuse
from api.webhooks import receiver_url
from common.campaigns import deletion, lifecycle, queries
from common.campaigns.printing import budget, proofs
from common.campaigns.recipients import lists, revalidation
from common.campaigns.spec import CampaignSpec
from common.ids import new_id
from common.jobs import idempotency
from common.jobs.idempotency import Reservation
from common.keys import Scope
from common.tables import Campaign as Row
from common.tables.campaign_states import CampaignStatus
from common.tables.states import Priority
from common.tables.webhook_states import EventType
from common.webhooks import endpoints
from common.webhooks.urls import parse

blueprint = responses.create_blueprint("campaigns", "One template, many recipients, one budget.", "/v1/campaigns")

MADE = {
    201: responses.describe_success(
        Campaign,
        "The campaign was made",
        {
            "Location": "Where to look at the campaign.",
            "Idempotency-Replayed": "`true`: this campaign was made by an earlier request with the same key.",
        },
    )
}
SALT_BYTES = 32


@blueprint.post("", **responses.describe(Scope.CAMPAIGNS_WRITE, MADE, 400, 408, 409, 413, 415, 422))
@needs(Scope.CAMPAIGNS_WRITE)
def create_campaign(header: NewCampaignHeaders, body: NewCampaign) -> Response:
    """Make a campaign; it waits for its recipients."""
    context = services()
    shown, is_new = make(
        body, request.get_json(), lambda session, made: _reserve(session, header.idempotency_key, made)
    )
    headers = {"Location": f"{context.path_prefix}/v1/campaigns/{shown.id}"}
    return responses.answer(shown, 201, headers if is_new else headers | {"Idempotency-Replayed": "true"})


def make(
    body: NewCampaign, wish: dict[str, Any], reserve: Callable[[Session, UUID], UUID | None] = lambda *_: None
) -> tuple[Campaign, bool]:
    """Make the caller's campaign of *body*, which *wish* spells; return it, and whether it is new.

    It is not if *reserve*, called with its id, returns that of an earlier one. Raises RefusedError.
    """
    context = services()
    spec = build_spec.make(body)
    if faults := receiver_url.find_faults(body.webhook_url, "/webhook_url"):
        raise refuse(faults)
    row = Row(
        id=new_id(),
        owner=caller().owner,
        key_id=caller().key_id,
        status=CampaignStatus.DRAFT,
        salt=secrets.token_bytes(SALT_BYTES),
        currency=context.settings.currency,
        budget=Decimal(body.budget.amount),
        **_columns(body, spec, wish),
    )
    with context.database.transaction() as session:
        earlier = reserve(session, row.id)
        if earlier is None:
            if row.webhook_url is not None:
                endpoints.see_to_direct(session, context.sealer, row.owner)
            session.add(row)
            session.flush()
        else:
            row = serializers.find(session, CampaignPath(campaign_id=earlier))
        return serializers.show(session, row), earlier is None


@blueprint.get("", **responses.describe(Scope.CAMPAIGNS_READ, {200: CampaignPage}, 400, 422))
@needs(Scope.CAMPAIGNS_READ)
def list_campaigns(query: CampaignQuery) -> Response:
    """List campaigns, the newest first."""
    context, owner = services(), caller().owner
    book = f"{owner}/campaigns"
    after = None
    if query.cursor is not None and (after := context.cursors.read(book, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    with context.database.reading() as session:
        rows = queries.list_page(session, owner, status=query.status, after=after, limit=query.limit + 1)
        page, has_more = rows[: query.limit], len(rows) > query.limit
        shown = [serializers.show(session, row, with_progress=False) for row in page]
    following = context.cursors.write(book, page[-1].id) if has_more else None
    return responses.answer(CampaignPage(data=shown, has_more=has_more, next=following))


@blueprint.get("/<campaign_id>", **responses.describe(Scope.CAMPAIGNS_READ, {200: Campaign}, 404))
@needs(Scope.CAMPAIGNS_READ)
def get_campaign(path: CampaignPath) -> Response:
    """Look at a campaign."""
    with services().database.reading() as session:
        row = serializers.find(session, path)
        return responses.answer(serializers.show(session, row))


@blueprint.patch(
    "/<campaign_id>", **responses.describe(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422)
)
@needs(Scope.CAMPAIGNS_WRITE)
def update_campaign(path: CampaignPath, body: CampaignChanges) -> Response:
    """Change a campaign that is not approved yet; if its words change, every row is checked again first."""
    with services().database.reading() as session:
        before = serializers.find(session, path)
    wish = before.wish | request.get_json()
    whole = NewCampaign.model_validate(wish)
    spec = build_spec.make(whole)
    if faults := receiver_url.find_faults(body.webhook_url, "/webhook_url"):
        raise refuse(faults)
    amount = None if body.budget is None else Decimal(body.budget.amount)
    with serializers.changing(path) as (session, row):
        if row.status not in lists.UNAPPROVED or row.wish != before.wish:
            raise RefusedError("invalid_state", f"The campaign is {row.status}, or is being changed just now.")
        is_checked = revalidation.needs_check(CampaignSpec.from_row(row.spec), spec)
        if not is_checked or row.status is not CampaignStatus.READY:
            return responses.answer(_change(session, row, _columns(whole, spec, wish), amount))
        opened = revalidation.reopen(session, row, spec)
    with recipient_upload.refilling(path, opened) as filled, serializers.changing(path) as (session, row):
        for (_, loading), intake in zip(opened, filled, strict=True):
            lists.finish(session, row, loading, intake.columns, intake.digest)
        return responses.answer(_change(session, row, _columns(whole, spec, wish), amount))


@blueprint.delete("/<campaign_id>", **responses.describe(Scope.CAMPAIGNS_WRITE, {204: None}, 404, 409))
@needs(Scope.CAMPAIGNS_WRITE)
def delete_campaign(path: CampaignPath) -> Response:
    """Delete a campaign that is not at work, with its recipients; its pictures stay as long as any."""
    with serializers.changing(path) as (session, row):
        deletion.hide(session, row)
    return Response(status=204)


@blueprint.post(
    "/<campaign_id>/approve",
    **responses.describe(Scope.CAMPAIGNS_APPROVE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@needs(Scope.CAMPAIGNS_APPROVE)
def approve_campaign(path: CampaignPath, body: Approval) -> Response:
    """Approve what `spec_digest` names, and nothing else: template, styles, recipients, model, policy and seeds."""
    context = services()
    with serializers.changing(path) as (session, row):
        lifecycle.approve(session, row, body.spec_digest, caller().key_id, context.settings)
        session.flush()
        return responses.answer(serializers.show(session, row))


def _reserve(session: Session, header: str | None, campaign_id: UUID) -> UUID | None:
    """Return the campaign that an earlier request with the same key made, if there was one."""
    if header is None:
        return None
    digest = idempotency.fingerprint(request.method, request.path, request.get_json())
    wanted = Reservation(caller().owner, submit.read_key(header), digest, campaign_id)
    return idempotency.reserve(session, wanted, services().settings.idempotency_hours)


def _change(session: Session, row: Row, columns: dict[str, Any], amount: Decimal | None) -> Campaign:
    """Give *row*, which is locked, other columns, and another budget if *amount* says one; return it as shown."""
    if row.spec != columns["spec"]:
        proofs.drop(session, row)
    for name, value in columns.items():
        setattr(row, name, value)
    if amount is not None:
        session.flush()
        budget.change(session, row, amount)
    if row.webhook_url is not None:
        endpoints.see_to_direct(session, services().sealer, row.owner)
    session.flush()
    shown = serializers.show(session, row)
    row.digest = shown.spec_digest
    return shown


def _columns(body: NewCampaign, spec: CampaignSpec, wish: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": body.name,
        "wish": wish,
        "spec": spec.model_dump(mode="json"),
        "priority": body.priority or Priority.BULK,
        "start_at": body.start_at,
        "deadline_at": body.deadline,
        "webhook_url": None if body.webhook_url is None else parse(body.webhook_url).url,
        "webhook_events": None
        if body.webhook_events is None
        else [*map(EventType, dict.fromkeys(body.webhook_events))],
    }
