"""``/v1/webhooks/{id}/deliveries``: list webhook deliveries and their attempts, and resend them."""

from uuid import UUID

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.runtime.context import current_context
from api.web import responses
from api.web.validation import refuse_not_found
from api.webhooks import serializers
from api.webhooks.changes import load_message, lock_webhook, refuse_disabled
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
from common.access.keys import Scope
from common.db.pages import FoundPage
from common.tables import WebhookMessage
from common.webhooks import delivery_log, endpoints, outbox

blueprint = responses.create_blueprint("deliveries", "Deliveries of webhook messages.", "/v1/webhooks/<webhook_id>")


@blueprint.get("/deliveries", **responses.describe_route(Scope.WEBHOOKS_READ, {200: DeliveryList}, 400, 404, 422))
@scope_required(Scope.WEBHOOKS_READ)
def list_deliveries(path: WebhookPath, query: DeliveryQuery) -> Response:
    """List a webhook's deliveries, newest first."""
    context, owner = current_context(), current_caller().owner

    def find(*, after: UUID | None, limit: int) -> FoundPage[WebhookMessage]:
        if endpoints.find_endpoint(session, owner, path.webhook_id) is None:
            raise refuse_not_found()
        return delivery_log.list_messages(
            session, path.webhook_id, state=query.state, job_id=query.job_id, after=after, limit=limit
        )

    with context.database.reading() as session:
        page = context.cursors.found(f"{owner}/webhooks/{path.webhook_id}", query, find)
        last = delivery_log.load_last_attempts(session, page.rows)
    shown = [serializers.serialize_delivery(row, last.get(row.id)) for row in page.rows]
    return responses.respond_json(DeliveryList(data=shown, has_more=page.has_more, next=page.next))


@blueprint.get("/deliveries/<delivery_id>", **responses.describe_route(Scope.WEBHOOKS_READ, {200: Delivery}, 404))
@scope_required(Scope.WEBHOOKS_READ)
def get_delivery(path: DeliveryPath) -> Response:
    """Get a delivery, including its body."""
    with current_context().database.reading() as session:
        row = load_message(session, path)
        last = delivery_log.load_last_attempts(session, [row])
    return responses.respond_json(serializers.serialize_delivery(row, last.get(row.id), with_body=True))


@blueprint.get(
    "/deliveries/<delivery_id>/attempts", **responses.describe_route(Scope.WEBHOOKS_READ, {200: AttemptList}, 404)
)
@scope_required(Scope.WEBHOOKS_READ)
def list_delivery_attempts(path: DeliveryPath) -> Response:
    """List the attempts of a delivery, newest first."""
    with current_context().database.reading() as session:
        rows = delivery_log.list_attempts(session, load_message(session, path).id)
    return responses.respond_json(AttemptList(data=[serializers.serialize_delivery_attempt(row) for row in rows]))


@blueprint.post(
    "/deliveries/<delivery_id>/resend", **responses.describe_route(Scope.WEBHOOKS_WRITE, {202: Delivery}, 404, 409)
)
@scope_required(Scope.WEBHOOKS_WRITE)
def resend_delivery(path: DeliveryPath) -> Response:
    """Resend a delivery, whatever its state, with the same ID and body and a new set of attempts."""
    with lock_webhook(path) as (session, endpoint):
        refuse_disabled(endpoint)
        row = load_message(session, path, to_change=True)
        outbox.resend_message(session, row)
        last = delivery_log.load_last_attempts(session, [row])
    return responses.respond_json(serializers.serialize_delivery(row, last.get(row.id), with_body=True), 202)


@blueprint.post(
    "/resend", **responses.describe_route(Scope.WEBHOOKS_WRITE, {202: Resent}, 400, 404, 408, 409, 413, 415, 422)
)
@scope_required(Scope.WEBHOOKS_WRITE)
def resend_deliveries(path: WebhookPath, body: Resending) -> Response:
    """Resend all undelivered messages of a span of time, for example after a receiver outage."""
    with lock_webhook(path) as (session, endpoint):
        refuse_disabled(endpoint)
        count = outbox.resend_messages(session, endpoint, body.since, body.until, delivered=bool(body.delivered))
    return responses.respond_json(Resent(count=count), 202)
