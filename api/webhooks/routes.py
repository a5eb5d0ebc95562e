"""``/v1/webhooks``: say where to be told of jobs, and keep the secrets that receivers check messages with."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from flask import Response
from sqlalchemy.orm import Session

from api.auth.bearer import caller, needs
from api.runtime.context import services
from api.web import responses
from api.web.errors import RefusedError
from api.web.validation import not_found
from api.webhooks import receiver_url, serializers
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
from common.keys import Scope
from common.tables import WebhookEndpoint, WebhookMessage
from common.tables.webhook_states import (
    CAMPAIGN_EVENTS,
    JOB_EVENTS,
    USUAL_EVENTS,
    DisabledReason,
    EndpointStatus,
    EventType,
)
from common.tables.webhooks import DIRECT
from common.webhooks import endpoints, outbox, signing_secrets
from common.webhooks.endpoints import NewEndpoint

blueprint = responses.create_blueprint("webhooks", "Where to be told of jobs.", "/v1/webhooks")

MADE = {201: responses.describe_success(Webhook, "The webhook was made", {"Location": "Where to look at the webhook."})}


@blueprint.post("", **responses.describe(Scope.WEBHOOKS_WRITE, MADE, 400, 408, 409, 413, 415, 422))
@needs(Scope.WEBHOOKS_WRITE)
def create_webhook(body: NewWebhook) -> Response:
    """Make a webhook; its secret is in the answer, and is not shown again."""
    row, secret = make(caller().owner, body)
    location = {"Location": f"{services().path_prefix}/v1/webhooks/{row.id}"}
    return responses.answer(serializers.show_webhook(row, secret), 201, location)


@blueprint.get("", **responses.describe(Scope.WEBHOOKS_READ, {200: WebhookList}))
@needs(Scope.WEBHOOKS_READ)
def list_webhooks() -> Response:
    """List all webhooks, the newest first."""
    with services().database.reading() as session:
        rows = endpoints.list_all(session, caller().owner)
    return responses.answer(WebhookList(data=[serializers.show_webhook(row) for row in rows]))


@blueprint.get("/<webhook_id>", **responses.describe(Scope.WEBHOOKS_READ, {200: Webhook}, 404))
@needs(Scope.WEBHOOKS_READ)
def get_webhook(path: WebhookPath) -> Response:
    """Look at a webhook."""
    with services().database.reading() as session:
        row = endpoints.find(session, caller().owner, path.webhook_id)
    if row is None:
        raise not_found()
    return responses.answer(serializers.show_webhook(row))


@blueprint.patch(
    "/<webhook_id>", **responses.describe(Scope.WEBHOOKS_WRITE, {200: Webhook}, 400, 404, 408, 409, 413, 415, 422)
)
@needs(Scope.WEBHOOKS_WRITE)
def update_webhook(path: WebhookPath, body: WebhookChanges) -> Response:
    """Change where a webhook's messages go, what it is told, or its description."""
    url = None if body.url is None else receiver_url.check(body.url, "/url")
    with changing(path) as (session, row):
        if url is not None:
            if row.url == DIRECT:
                raise RefusedError("webhook_without_url", "It signs for what names URLs itself.")
            endpoints.move(session, row, url)
        row.events = [*dict.fromkeys(body.events or row.events)]
        row.description = row.description if body.description is None else body.description
    return responses.answer(serializers.show_webhook(row))


@blueprint.delete("/<webhook_id>", **responses.describe(Scope.WEBHOOKS_WRITE, {204: None}, 404))
@needs(Scope.WEBHOOKS_WRITE)
def delete_webhook(path: WebhookPath) -> Response:
    """Delete a webhook, and with it its deliveries; those that wait are not sent."""
    with changing(path) as (session, row):
        endpoints.remove(session, row)
    return Response(status=204)


@blueprint.post(
    "/<webhook_id>/rotate", **responses.describe(Scope.WEBHOOKS_WRITE, {200: Webhook}, 400, 404, 408, 413, 415, 422)
)
@needs(Scope.WEBHOOKS_WRITE)
def rotate_webhook(path: WebhookPath, body: Rotation) -> Response:
    """Give a webhook a new secret, shown in the answer; for a while the old one signs too."""
    overlap = timedelta(seconds=USUAL_OVERLAP if body.overlap_s is None else body.overlap_s)
    given = signing_secrets.parse(body.secret) if body.secret else None
    with changing(path) as (session, row):
        secret = endpoints.rotate(session, services().sealer, row, overlap, given)
    return responses.answer(serializers.show_webhook(row, secret))


@blueprint.post("/<webhook_id>/enable", **responses.describe(Scope.WEBHOOKS_WRITE, {200: Webhook}, 404))
@needs(Scope.WEBHOOKS_WRITE)
def enable_webhook(path: WebhookPath) -> Response:
    """Have a webhook told again; what was not delivered before is sent when it is asked for."""
    with changing(path) as (_, row):
        endpoints.enable(row)
    return responses.answer(serializers.show_webhook(row))


@blueprint.post("/<webhook_id>/disable", **responses.describe(Scope.WEBHOOKS_WRITE, {200: Webhook}, 404))
@needs(Scope.WEBHOOKS_WRITE)
def disable_webhook(path: WebhookPath) -> Response:
    """Tell a webhook nothing more; deliveries that wait are canceled."""
    with changing(path) as (session, row):
        endpoints.disable(session, row, DisabledReason.OWNER)
    return responses.answer(serializers.show_webhook(row))


@blueprint.post("/<webhook_id>/test", **responses.describe(Scope.WEBHOOKS_WRITE, {202: Delivery}, 404, 409))
@needs(Scope.WEBHOOKS_WRITE)
def test_webhook(path: WebhookPath) -> Response:
    """Send a `webhook.test` message, which is tried again like any other."""
    with changing(path) as (session, row):
        message = owe_test(session, row)
    return responses.answer(serializers.show_delivery(message, None, with_body=True), 202)


def make(owner: str, wish: NewWebhook) -> tuple[WebhookEndpoint, bytes]:
    """Make a webhook of *owner*, and return it with its secret; raise RefusedError or what ``endpoints.add`` does."""
    context = services()
    url = DIRECT if wish.url is None else receiver_url.check(wish.url, "/url")
    usual = (*JOB_EVENTS, *CAMPAIGN_EVENTS) if wish.url is None else USUAL_EVENTS
    new = NewEndpoint(
        owner=owner,
        url=url,
        events=_read_events(wish.events) or usual,
        description=wish.description or "",
        secret=signing_secrets.parse(wish.secret) if wish.secret else None,
    )
    with context.database.transaction() as session:
        return endpoints.add(session, context.sealer, new, context.settings.max_webhooks)


def owe_test(session: Session, row: WebhookEndpoint) -> WebhookMessage:
    """Have a test message sent; raise RefusedError for a webhook that has nowhere to send it."""
    refuse_disabled(row)
    if row.url == DIRECT:
        raise RefusedError("webhook_without_url", "It signs for what names URLs itself.")
    return outbox.owe_test(session, row)


@contextmanager
def changing(path: WebhookPath) -> Iterator[tuple[Session, WebhookEndpoint]]:
    """Yield a transaction and the caller's webhook, locked; raise RefusedError with ``not_found``."""
    with services().database.transaction() as session:
        row = endpoints.find(session, caller().owner, path.webhook_id, to_change=True)
        if row is None:
            raise not_found()
        yield session, row


def refuse_disabled(row: WebhookEndpoint) -> None:
    """Raise RefusedError if a webhook is disabled."""
    if row.status is EndpointStatus.DISABLED:
        raise RefusedError("webhook_disabled", "Enable the webhook first.")


def _read_events(names: Sequence[str] | None) -> list[EventType]:
    return [EventType(name) for name in dict.fromkeys(names or ())]
