"""``/v1/audit``: who did what to which object, with which API key and when."""

from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Response
from pydantic import Field

from api.auth.bearer import current_caller, scope_required
from api.auth.keys import KEY_ID_SCHEMA
from api.runtime.context import current_context
from api.web import responses
from api.web.output import Output, Time
from api.web.validation import PLAIN_PATTERN, Moment, Parsed, Query
from common.access import audit
from common.access.audit import AuditFilter, AuditRecord
from common.access.keys import Scope


class AuditEvent(Output):
    """One recorded act. It never changes, but the erasure of its object empties `before` and `after`."""

    id: UUID
    object: Literal["audit_event"] = "audit_event"
    at: Time
    owner: str = Field(description="Owner whose API key acted, or on whose behalf the service acted.")
    key_id: str | None = Field(
        description="ID of the API key; null for the command line of the operator and for the service itself."
    )
    key_name: str | None
    act: str = Field(description="What was done, as `object.deed`.", examples=["campaign.approved"])
    object_kind: str
    object_id: str
    before: dict[str, Any] | None = Field(description="The relevant properties before the act, if there are any.")
    after: dict[str, Any] | None = Field(description="The relevant properties after the act, if there are any.")


class AuditEventList(Output):
    """A page of audit events, newest first."""

    object: Literal["list"] = "list"
    data: list[AuditEvent]
    has_more: bool
    next: str | None = Field(description="Cursor of the next page; null on the last page.")


class AuditQuery(Query):
    """The filters of a list of audit events."""

    act: str | None = Field(
        None, description="Only this act, such as `campaign.approved`.", max_length=64, pattern=r"^[a-z]+\.[a-z_]+$"
    )
    object_id: str | None = Field(
        None, description="Only acts on this object.", alias="object", max_length=64, pattern=PLAIN_PATTERN
    )
    key: str | None = Field(None, description="Only acts of the API key with this ID.", json_schema_extra=KEY_ID_SCHEMA)
    since: Moment | None = Field(None, alias="from", description="Only acts at or after this time.")
    until: Moment | None = Field(None, alias="to", description="Only acts before this time.")
    limit: Annotated[int, Field(ge=1, le=100), Parsed] = Field(20, description="Maximum number of events per page.")
    cursor: str | None = Field(
        None, description="The `next` value of the previous page.", json_schema_extra={"format": "cursor"}
    )


blueprint = responses.create_blueprint("audit", "The audit trail.", "/v1/audit")

OPERATOR_BOOK = "audit"
"""The cursor namespace of the list of all owners' events."""


@blueprint.get("", **responses.describe_route(Scope.AUDIT_READ, {200: AuditEventList}, 400, 422))
@scope_required(Scope.AUDIT_READ)
def list_audit_events(query: AuditQuery) -> Response:
    """List what was done with the API keys of the caller's owner, newest first."""
    owner = current_caller().owner
    return _respond_events(f"{owner}/audit", query, owner)


@blueprint.get("/operator", **responses.describe_route(Scope.AUDIT_ALL, {200: AuditEventList}, 400, 422))
@scope_required(Scope.AUDIT_ALL)
def list_operator_audit_events(query: AuditQuery) -> Response:
    """List what was done with the API keys of all owners, newest first."""
    return _respond_events(OPERATOR_BOOK, query, None)


def serialize_event(record: AuditRecord) -> AuditEvent:
    """Return the representation of an event."""
    row = record.event
    return AuditEvent(
        id=row.id,
        at=row.at,
        owner=row.owner,
        key_id=record.key,
        key_name=record.key_name,
        act=row.act,
        object_kind=row.object_kind,
        object_id=row.object_id,
        before=row.before,
        after=row.after,
    )


def _respond_events(book: str, query: AuditQuery, owner: str | None) -> Response:
    context = current_context()
    wanted = AuditFilter(owner, **query.model_dump(exclude={"limit", "cursor"}))
    with context.database.reading() as session:
        page = context.cursors.found(book, query, partial(audit.search_events, session, wanted))
    shown = [serialize_event(record) for record in page.rows]
    return responses.respond_json(AuditEventList(data=shown, has_more=page.has_more, next=page.next))
