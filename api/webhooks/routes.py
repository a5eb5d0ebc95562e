"""``/v1/webhooks``: create, update, test and delete webhooks, and rotate their signing secrets."""

from datetime import timedelta

from flask import Response

from api.auth.bearer import current_caller, scope_required
from api.runtime.context import current_context
from api.web import responses
from api.web.validation import refuse_not_found
from api.webhooks import serializers
from api.webhooks.changes import insert_webhook, lock_webhook, publish_test_event, update_webhook_row
from api.webhooks.schemas import (
    USUAL_OVERLAP,
    Delivery,
    NewWebhook,
    Rotation,
    Webhook,
    WebhookChanges,
    WebhookList,
    WebhookPath,
)
from common.access.keys import Scope
from common.states.audit import Act
from common.states.webhooks import (
    DisabledReason,
)
from common.webhooks import endpoints, signing_secrets

blueprint = responses.create_blueprint("webhooks", "Webhooks for job and campaign events.", "/v1/webhooks")

CREATED = {201: responses.describe_success(Webhook, "The webhook was created", {"Location": "URL of the webhook."})}


@blueprint.post("", **responses.describe_route(Scope.WEBHOOKS_WRITE, CREATED, 400, 408, 409, 413, 415, 422))
@scope_required(Scope.WEBHOOKS_WRITE)
def create_webhook(body: NewWebhook) -> Response:
    """Create a webhook. Its secret is returned only once, in this response."""
    row, secret = insert_webhook(current_caller().owner, body)
    location = {"Location": f"{current_context().path_prefix}/v1/webhooks/{row.id}"}
    return responses.respond_json(serializers.serialize_webhook(row, secret), 201, location)


@blueprint.get("", **responses.describe_route(Scope.WEBHOOKS_READ, {200: WebhookList}))
@scope_required(Scope.WEBHOOKS_READ)
def list_webhooks() -> Response:
    """List all webhooks, newest first."""
    with current_context().database.reading() as session:
        rows = endpoints.list_endpoints(session, current_caller().owner)
    return responses.respond_json(WebhookList(data=[serializers.serialize_webhook(row) for row in rows]))


@blueprint.get("/<webhook_id>", **responses.describe_route(Scope.WEBHOOKS_READ, {200: Webhook}, 404))
@scope_required(Scope.WEBHOOKS_READ)
def get_webhook(path: WebhookPath) -> Response:
    """Get a webhook."""
    with current_context().database.reading() as session:
        row = endpoints.find_endpoint(session, current_caller().owner, path.webhook_id)
    if row is None:
        raise refuse_not_found()
    return responses.respond_json(serializers.serialize_webhook(row))


@blueprint.patch(
    "/<webhook_id>", **responses.describe_route(Scope.WEBHOOKS_WRITE, {200: Webhook}, 400, 404, 408, 409, 413, 415, 422)
)
@scope_required(Scope.WEBHOOKS_WRITE)
def update_webhook(path: WebhookPath, body: WebhookChanges) -> Response:
    """Update the URL, the events or the description of a webhook."""
    return responses.respond_json(serializers.serialize_webhook(update_webhook_row(path, body)))


@blueprint.delete("/<webhook_id>", **responses.describe_route(Scope.WEBHOOKS_WRITE, {204: None}, 404))
@scope_required(Scope.WEBHOOKS_WRITE)
def delete_webhook(path: WebhookPath) -> Response:
    """Delete a webhook and its deliveries. Pending deliveries are not sent."""
    with lock_webhook(path, Act.WEBHOOK_DELETED) as (session, row):
        endpoints.delete_endpoint(session, row)
    return Response(status=204)


@blueprint.post(
    "/<webhook_id>/rotate",
    **responses.describe_route(Scope.WEBHOOKS_WRITE, {200: Webhook}, 400, 404, 408, 413, 415, 422),
)
@scope_required(Scope.WEBHOOKS_WRITE)
def rotate_webhook(path: WebhookPath, body: Rotation) -> Response:
    """Rotate the secret of a webhook and return the new one. Messages are also signed with the old one for a while."""
    overlap = timedelta(seconds=USUAL_OVERLAP if body.overlap_s is None else body.overlap_s)
    given = signing_secrets.parse_secret(body.secret) if body.secret else None
    with lock_webhook(path, Act.WEBHOOK_SECRET_ROTATED) as (session, row):
        secret = endpoints.rotate_secret(session, current_context().cipher, row, overlap, given)
    return responses.respond_json(serializers.serialize_webhook(row, secret))


@blueprint.post("/<webhook_id>/enable", **responses.describe_route(Scope.WEBHOOKS_WRITE, {200: Webhook}, 404))
@scope_required(Scope.WEBHOOKS_WRITE)
def enable_webhook(path: WebhookPath) -> Response:
    """Enable a webhook. Earlier undelivered messages are sent only on request."""
    with lock_webhook(path, Act.WEBHOOK_ENABLED) as (_, row):
        endpoints.enable_endpoint(row)
    return responses.respond_json(serializers.serialize_webhook(row))


@blueprint.post("/<webhook_id>/disable", **responses.describe_route(Scope.WEBHOOKS_WRITE, {200: Webhook}, 404))
@scope_required(Scope.WEBHOOKS_WRITE)
def disable_webhook(path: WebhookPath) -> Response:
    """Disable a webhook. Pending deliveries are canceled."""
    with lock_webhook(path, Act.WEBHOOK_DISABLED) as (session, row):
        endpoints.disable_endpoint(session, row, DisabledReason.OWNER)
    return responses.respond_json(serializers.serialize_webhook(row))


@blueprint.post("/<webhook_id>/test", **responses.describe_route(Scope.WEBHOOKS_WRITE, {202: Delivery}, 404, 409))
@scope_required(Scope.WEBHOOKS_WRITE)
def test_webhook(path: WebhookPath) -> Response:
    """Send a `webhook.test` message. It is retried like any other message."""
    with lock_webhook(path) as (session, row):
        message = publish_test_event(session, row)
    return responses.respond_json(serializers.serialize_delivery(message, None, with_body=True), 202)
