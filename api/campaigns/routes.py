"""``/v1/campaigns``: create, list, get, update, approve and delete campaigns."""

import secrets
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy.orm import Session

from api.auth.bearer import current_caller, scope_required
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
from api.runtime.context import current_context
from api.web import responses
from api.web.errors import RefusedError, refuse_request
from api.webhooks import receiver_url
from common.campaigns import deletion, lifecycle, queries
from common.campaigns.printing import budget, proofs
from common.campaigns.recipients import lists, revalidation
from common.campaigns.spec import CampaignSpec
from common.ids import create_id
from common.jobs import idempotency
from common.jobs.idempotency import Reservation
from common.keys import Scope
from common.tables import Campaign as Row
from common.tables.campaign_states import CampaignStatus
from common.tables.states import Priority
from common.tables.webhook_states import EventType
from common.webhooks import endpoints
from common.webhooks.urls import parse_url

blueprint = responses.create_blueprint(
    "campaigns", "Image campaigns: one template, many recipients, one budget.", "/v1/campaigns"
)

CREATED = {
    201: responses.describe_success(
        Campaign,
        "The campaign was created",
        {
            "Location": "URL of the campaign.",
            "Idempotency-Replayed": "`true` if an earlier request with the same key created this campaign.",
        },
    )
}
SALT_BYTES = 32


@blueprint.post("", **responses.describe_route(Scope.CAMPAIGNS_WRITE, CREATED, 400, 408, 409, 413, 415, 422))
@scope_required(Scope.CAMPAIGNS_WRITE)
def create_campaign(header: NewCampaignHeaders, body: NewCampaign) -> Response:
    """Create a campaign. Upload its recipients next."""
    context = current_context()
    shown, is_new = insert_campaign(
        body, request.get_json(), lambda session, made: _reserve_idempotency_key(session, header.idempotency_key, made)
    )
    headers = {"Location": f"{context.path_prefix}/v1/campaigns/{shown.id}"}
    return responses.respond_json(shown, 201, headers if is_new else headers | {"Idempotency-Replayed": "true"})


def insert_campaign(
    body: NewCampaign, wish: dict[str, Any], reserve: Callable[[Session, UUID], UUID | None] = lambda *_: None
) -> tuple[Campaign, bool]:
    """Create the caller's campaign from *body*, parsed from *wish*; return it and whether it is new.

    It is not new if *reserve*, called with its ID, returns the ID of an earlier campaign. Raises RefusedError.
    """
    context = current_context()
    spec = build_spec.build_campaign_spec(body)
    if faults := receiver_url.find_url_faults(body.webhook_url, "/webhook_url"):
        raise refuse_request(faults)
    row = Row(
        id=create_id(),
        owner=current_caller().owner,
        key_id=current_caller().key_id,
        status=CampaignStatus.DRAFT,
        salt=secrets.token_bytes(SALT_BYTES),
        currency=context.settings.currency,
        budget=Decimal(body.budget.amount),
        **_build_columns(body, spec, wish),
    )
    with context.database.transaction() as session:
        earlier = reserve(session, row.id)
        if earlier is None:
            if row.webhook_url is not None:
                endpoints.ensure_direct_endpoint(session, context.sealer, row.owner)
            session.add(row)
            session.flush()
        else:
            row = serializers.load_campaign(session, CampaignPath(campaign_id=earlier))
        return serializers.serialize_campaign(session, row), earlier is None


@blueprint.get("", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: CampaignPage}, 400, 422))
@scope_required(Scope.CAMPAIGNS_READ)
def list_campaigns(query: CampaignQuery) -> Response:
    """List campaigns, newest first."""
    context, owner = current_context(), current_caller().owner
    book = f"{owner}/campaigns"
    after = None
    if query.cursor is not None and (after := context.cursors.read(book, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the unmodified `next` value of a page of this list.")
    with context.database.reading() as session:
        rows = queries.list_campaigns(session, owner, status=query.status, after=after, limit=query.limit + 1)
        page, has_more = rows[: query.limit], len(rows) > query.limit
        shown = [serializers.serialize_campaign(session, row, with_progress=False) for row in page]
    following = context.cursors.write(book, page[-1].id) if has_more else None
    return responses.respond_json(CampaignPage(data=shown, has_more=has_more, next=following))


@blueprint.get("/<campaign_id>", **responses.describe_route(Scope.CAMPAIGNS_READ, {200: Campaign}, 404))
@scope_required(Scope.CAMPAIGNS_READ)
def get_campaign(path: CampaignPath) -> Response:
    """Get a campaign."""
    with current_context().database.reading() as session:
        row = serializers.load_campaign(session, path)
        return responses.respond_json(serializers.serialize_campaign(session, row))


@blueprint.patch(
    "/<campaign_id>",
    **responses.describe_route(Scope.CAMPAIGNS_WRITE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_WRITE)
def update_campaign(path: CampaignPath, body: CampaignChanges) -> Response:
    """Update a campaign that is not approved yet. If its template or styles change, every row is checked again."""
    with current_context().database.reading() as session:
        before = serializers.load_campaign(session, path)
    wish = before.wish | request.get_json()
    whole = NewCampaign.model_validate(wish)
    spec = build_spec.build_campaign_spec(whole)
    if faults := receiver_url.find_url_faults(body.webhook_url, "/webhook_url"):
        raise refuse_request(faults)
    amount = None if body.budget is None else Decimal(body.budget.amount)
    with serializers.lock_campaign(path) as (session, row):
        if row.status not in lists.UNAPPROVED or row.wish != before.wish:
            raise RefusedError("invalid_state", f"The campaign is {row.status} or is being changed by another request.")
        is_checked = revalidation.needs_revalidation(CampaignSpec.from_row(row.spec), spec)
        if not is_checked or row.status is not CampaignStatus.READY:
            return responses.respond_json(_update_row(session, row, _build_columns(whole, spec, wish), amount))
        opened = revalidation.reopen_lists(session, row, spec)
    with (
        recipient_upload.revalidate_recipients(path, opened) as filled,
        serializers.lock_campaign(path) as (session, row),
    ):
        for (_, loading), intake in zip(opened, filled, strict=True):
            lists.finish_list(session, row, loading, intake.columns, intake.digest)
        return responses.respond_json(_update_row(session, row, _build_columns(whole, spec, wish), amount))


@blueprint.delete("/<campaign_id>", **responses.describe_route(Scope.CAMPAIGNS_WRITE, {204: None}, 404, 409))
@scope_required(Scope.CAMPAIGNS_WRITE)
def delete_campaign(path: CampaignPath) -> Response:
    """Delete a campaign that is not running, with its recipients. Its images follow the usual retention period."""
    with serializers.lock_campaign(path) as (session, row):
        deletion.hide_campaign(session, row)
    return Response(status=204)


@blueprint.post(
    "/<campaign_id>/approve",
    **responses.describe_route(Scope.CAMPAIGNS_APPROVE, {200: Campaign}, 400, 404, 408, 409, 413, 415, 422),
)
@scope_required(Scope.CAMPAIGNS_APPROVE)
def approve_campaign(path: CampaignPath, body: Approval) -> Response:
    """Approve exactly what `spec_digest` covers: template, styles, recipients, model, safety policy and seeds."""
    context = current_context()
    with serializers.lock_campaign(path) as (session, row):
        lifecycle.approve_campaign(session, row, body.spec_digest, current_caller().key_id, context.settings)
        session.flush()
        return responses.respond_json(serializers.serialize_campaign(session, row))


def _reserve_idempotency_key(session: Session, header: str | None, campaign_id: UUID) -> UUID | None:
    """Return the ID of the campaign created by an earlier request with the same key, if any."""
    if header is None:
        return None
    digest = idempotency.fingerprint_request(request.method, request.path, request.get_json())
    wanted = Reservation(current_caller().owner, submit.parse_idempotency_key(header), digest, campaign_id)
    return idempotency.reserve_idempotency_key(session, wanted, current_context().settings.idempotency_hours)


def _update_row(session: Session, row: Row, columns: dict[str, Any], amount: Decimal | None) -> Campaign:
    """Update the columns of the locked *row*, and its budget unless *amount* is None; return its representation."""
    if row.spec != columns["spec"]:
        proofs.discard_proofs(session, row)
    for name, value in columns.items():
        setattr(row, name, value)
    if amount is not None:
        session.flush()
        budget.change_budget(session, row, amount)
    if row.webhook_url is not None:
        endpoints.ensure_direct_endpoint(session, current_context().sealer, row.owner)
    session.flush()
    shown = serializers.serialize_campaign(session, row)
    row.digest = shown.spec_digest
    return shown


def _build_columns(body: NewCampaign, spec: CampaignSpec, wish: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": body.name,
        "wish": wish,
        "spec": spec.model_dump(mode="json"),
        "priority": body.priority or Priority.BULK,
        "start_at": body.start_at,
        "deadline_at": body.deadline,
        "webhook_url": None if body.webhook_url is None else parse_url(body.webhook_url).url,
        "webhook_events": None
        if body.webhook_events is None
        else [*map(EventType, dict.fromkeys(body.webhook_events))],
    }
