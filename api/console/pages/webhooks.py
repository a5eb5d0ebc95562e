"""Webhooks: where to be told of jobs, how each receiver fares, and what was sent to it."""

from datetime import timedelta

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import caller
from api.console.query_params import chosen, read_choice, read_cursor, write_cursor
from api.console.rendering import render
from api.console.routing import page
from api.console.urls import lead_to
from api.runtime.context import services
from api.web.errors import RefusedError
from api.web.validation import not_found
from api.webhooks import deliveries, routes, serializers
from api.webhooks.schemas import USUAL_OVERLAP, DeliveryPath, NewWebhook, WebhookPath
from common.keys import Scope
from common.tables.webhook_states import JOB_EVENTS, USUAL_EVENTS, DisabledReason, MessageState
from common.webhooks import delivery_log, endpoints, outbox
from common.webhooks.endpoints import TooManyWebhooksError, WebhookExistsError

PAGE_SIZE = 50


@page("/webhooks", Scope.WEBHOOKS_READ)
def list_webhooks() -> Response:
    """List the owner's webhooks."""
    return _show_all()


@page("/webhooks", Scope.WEBHOOKS_WRITE, post=True)
def create_webhook() -> Response:
    """Make a webhook and show its secret, this once."""
    wish = {"url": request.form.get("url", "").strip(), "events": request.form.getlist("event")}
    wish["description"] = request.form.get("description", "").strip()
    try:
        body = NewWebhook.model_validate({name: value for name, value in wish.items() if value})
        row, secret = routes.make(caller().owner, body)
    except (RefusedError, WebhookExistsError, TooManyWebhooksError) as refused:
        return _show_all(refused)
    return _show_one(str(row.id), serializers.show_webhook(row, secret).secret)


@page("/webhooks/<webhook_id>", Scope.WEBHOOKS_READ)
def show_webhook(webhook_id: str) -> Response:
    """Show a webhook and what was sent to it, the newest first."""
    return _show_one(webhook_id)


@page("/webhooks/<webhook_id>/<act>", Scope.WEBHOOKS_WRITE, post=True)
def change_webhook(webhook_id: str, act: str) -> Response:
    """Enable, disable, test or delete a webhook, or give it a new secret."""
    path = WebhookPath.model_validate({"webhook_id": webhook_id})
    with routes.changing(path) as (session, row):
        match act:
            case "enable":
                endpoints.enable(row)
            case "disable":
                endpoints.disable(session, row, DisabledReason.OWNER)
            case "test":
                routes.owe_test(session, row)
            case "delete":
                endpoints.remove(session, row)
            case "rotate":
                secret = endpoints.rotate(session, services().sealer, row, timedelta(seconds=USUAL_OVERLAP))
            case _:
                raise not_found()
    if act == "rotate":
        return _show_one(webhook_id, serializers.show_webhook(row, secret).secret)
    if act == "delete":
        return lead_to("webhooks:list_webhooks", note="webhook-deleted")
    note = "webhook-tested" if act == "test" else "webhook-changed"
    return lead_to("webhooks:show_webhook", webhook_id=webhook_id, note=note)


@page("/webhooks/<webhook_id>/deliveries/<delivery_id>", Scope.WEBHOOKS_READ)
def show_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Show a message with its body and the tries at it."""
    path = DeliveryPath.model_validate({"webhook_id": webhook_id, "delivery_id": delivery_id})
    with services().database.reading() as session:
        row = deliveries.find(session, path)
        tries = delivery_log.list_attempts(session, row.id)
        endpoint = endpoints.find(session, caller().owner, path.webhook_id)
    delivery = serializers.show_delivery(row, tries[0] if tries else None, with_body=True)
    return render("webhooks/delivery.html", delivery=delivery, tries=tries, webhook=endpoint)


@page("/webhooks/<webhook_id>/deliveries/<delivery_id>/resend", Scope.WEBHOOKS_WRITE, post=True)
def resend_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Send a message again."""
    path = DeliveryPath.model_validate({"webhook_id": webhook_id, "delivery_id": delivery_id})
    with routes.changing(path) as (session, endpoint):
        routes.refuse_disabled(endpoint)
        outbox.resend(session, deliveries.find(session, path, to_change=True))
    return lead_to("webhooks:show_webhook", webhook_id=webhook_id, note="delivery-resent")


def _show_all(refused: Exception | None = None) -> Response:
    with services().database.reading() as session:
        rows = endpoints.list_all(session, caller().owner)
    return render(
        "webhooks/list.html",
        200 if refused is None else 422,
        webhooks=[serializers.show_webhook(row) for row in rows],
        refused=refused,
        events=JOB_EVENTS,
        usual=USUAL_EVENTS,
    )


def _show_one(webhook_id: str, secret: str | None = None) -> Response:
    path = WebhookPath.model_validate({"webhook_id": webhook_id})
    book = f"webhooks/{webhook_id}"
    with services().database.reading() as session:
        row = endpoints.find(session, caller().owner, path.webhook_id)
        if row is None:
            raise not_found()
        state = read_choice("state", MessageState)
        after = read_cursor(book)
        found = delivery_log.list_messages(session, row.id, state=state, job_id=None, after=after, limit=PAGE_SIZE + 1)
        last = delivery_log.last_attempts(session, found)
    shown = found[:PAGE_SIZE]
    return render(
        "webhooks/webhook.html",
        webhook=serializers.show_webhook(row),
        secret=secret,
        deliveries=[serializers.show_delivery(each, last.get(each.id)) for each in shown],
        next=write_cursor(book, shown[-1].id if len(found) > PAGE_SIZE else None),
        filters=chosen("state"),
        states=[*MessageState],
    )
