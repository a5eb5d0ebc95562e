"""``/v1/webhooks/{id}/deliveries``: see what was sent and what came of it, and have it sent again."""

from flask import Response
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError
from api.web.validation import not_found
from api.webhooks import serializers
from api.webhooks.routes import changing, refuse_disabled
from api.webhooks.schemas import (
    AttemptList,
    Delivery,
    DeliveryList,
    DeliveryPath,
    DeliveryQuery,
    Resending,
    Resent,
    WebhookPath,
)
from common.keys import Scope
from common.tables import WebhookMessage
from common.webhooks import delivery_log, endpoints, outbox

blueprint = responses.create_blueprint("deliveries", "Messages to webhooks.", "/v1/webhooks/<webhook_id>")


@blueprint.get("/deliveries", **responses.describe(Scope.WEBHOOKS_READ, {200: DeliveryList}, 400, 404, 422))
@needs(Scope.WEBHOOKS_READ)
def list_deliveries(path: WebhookPath, query: DeliveryQuery) -> Response:
    """List a webhook's deliveries, the newest first."""
    context, owner = services(), caller().owner
    book = f"{owner}/webhooks/{path.webhook_id}"
    after = None
    if query.cursor is not None and (after := context.cursors.read(book, query.cursor)) is None:
        raise RefusedError("invalid_cursor", "Use the `next` of a page of this list, unchanged.")
    with context.database.reading() as session:
        if endpoints.find(session, owner, path.webhook_id) is None:
            raise not_found()
        rows = delivery_log.list_messages(
            session, path.webhook_id, state=query.state, job_id=query.job_id, after=after, limit=query.limit + 1
        )
        page, has_more = rows[: query.limit], len(rows) > query.limit
        last = delivery_log.last_attempts(session, page)
    following = context.cursors.write(book, page[-1].id) if has_more else None
    shown = [serializers.show_delivery(row, last.get(row.id)) for row in page]
    return responses.answer(DeliveryList(data=shown, has_more=has_more, next=following))


@blueprint.get("/deliveries/<delivery_id>", **responses.describe(Scope.WEBHOOKS_READ, {200: Delivery}, 404))
@needs(Scope.WEBHOOKS_READ)
def get_delivery(path: DeliveryPath) -> Response:
    """Look at a delivery, its body included."""
    with services().database.reading() as session:
        row = find(session, path)
        last = delivery_log.last_attempts(session, [row])
    return responses.answer(serializers.show_delivery(row, last.get(row.id), with_body=True))


@blueprint.get("/deliveries/<delivery_id>/attempts", **responses.describe(Scope.WEBHOOKS_READ, {200: AttemptList}, 404))
@needs(Scope.WEBHOOKS_READ)
def list_delivery_attempts(path: DeliveryPath) -> Response:
    """List the tries at a delivery, the newest first."""
    with services().database.reading() as session:
        rows = delivery_log.list_attempts(session, find(session, path).id)
    return responses.answer(AttemptList(data=[serializers.show_delivery_attempt(row) for row in rows]))


@blueprint.post(
    "/deliveries/<delivery_id>/resend", **responses.describe(Scope.WEBHOOKS_WRITE, {202: Delivery}, 404, 409)
)
@needs(Scope.WEBHOOKS_WRITE)
def resend_delivery(path: DeliveryPath) -> Response:
    """Send a delivery again, whatever became of it: the same id and body, and all tries anew."""
    with changing(path) as (session, endpoint):
        refuse_disabled(endpoint)
        row = find(session, path, to_change=True)
        outbox.resend(session, row)
        last = delivery_log.last_attempts(session, [row])
    return responses.answer(serializers.show_delivery(row, last.get(row.id), with_body=True), 202)


@blueprint.post("/resend", **responses.describe(Scope.WEBHOOKS_WRITE, {202: Resent}, 400, 404, 408, 409, 413, 415, 422))
@needs(Scope.WEBHOOKS_WRITE)
def resend_deliveries(path: WebhookPath, body: Resending) -> Response:
    """Send again all deliveries of a span of time that were not delivered, once a receiver is back."""
    with changing(path) as (session, endpoint):
        refuse_disabled(endpoint)
        count = outbox.resend_all(session, endpoint, body.since, body.until, delivered=bool(body.delivered))
    return responses.answer(Resent(count=count), 202)


def find(session: Session, path: DeliveryPath, *, to_change: bool = False) -> WebhookMessage:
    """Return a message of the caller's; raise RefusedError with ``not_found``."""
    row = delivery_log.find_message(session, caller().owner, path.webhook_id, path.delivery_id, to_change=to_change)
    if row is None:
        raise not_found()
    return row
