"""Webhooks: list, create and change them, and show their deliveries."""

from datetime import timedelta
from typing import Any

from flask import request
from werkzeug.wrappers import Response

from api.auth.bearer import current_caller
from api.console.query_params import decode_cursor, encode_cursor, read_choice, read_filters
from api.console.rendering import render_page
from api.console.routing import FormPage, name_first_part, register_page
from api.console.urls import redirect_to
from api.runtime.context import current_context
from api.web.validation import refuse_not_found
from api.webhooks import changes, serializers
from api.webhooks.schemas import USUAL_OVERLAP, DeliveryPath, NewWebhook, WebhookChanges, WebhookPath
from common.access.keys import Scope
from common.states.audit import Act
from common.states.webhooks import (
    CAMPAIGN_EVENTS,
    JOB_EVENTS,
    USUAL_EVENTS,
    DisabledReason,
    EndpointStatus,
    MessageState,
)
from common.webhooks import delivery_log, endpoints, outbox

PAGE_SIZE = 50
EVENTS = {"Jobs": JOB_EVENTS, "Campaigns": CAMPAIGN_EVENTS}
"""The events that can be chosen, by what they are about."""

ACTS = {
    "enable": Act.WEBHOOK_ENABLED,
    "disable": Act.WEBHOOK_DISABLED,
    "delete": Act.WEBHOOK_DELETED,
    "rotate": Act.WEBHOOK_SECRET_ROTATED,
}
"""What the audit trail calls the acts that change a webhook."""


@register_page("/webhooks", Scope.WEBHOOKS_READ)
def list_webhooks() -> Response:
    """List the owner's webhooks."""
    return _render_webhooks()


def _name_field(pointer: str) -> str:
    part = name_first_part(pointer)
    return "event" if part == "events" else part


@register_page("/webhooks", Scope.WEBHOOKS_WRITE, post=True, form=FormPage("webhooks:list_webhooks", _name_field))
def create_webhook() -> Response:
    """Create a webhook and show its secret once."""
    row, secret = changes.insert_webhook(current_caller().owner, NewWebhook.model_validate(_parse_form()))
    return _render_webhook(str(row.id), serializers.serialize_webhook(row, secret).secret)


@register_page("/webhooks/<webhook_id>", Scope.WEBHOOKS_READ)
def show_webhook(webhook_id: str) -> Response:
    """Show a webhook and its deliveries, newest first."""
    return _render_webhook(webhook_id)


@register_page(
    "/webhooks/<webhook_id>", Scope.WEBHOOKS_WRITE, post=True, form=FormPage("webhooks:show_webhook", _name_field)
)
def update_webhook(webhook_id: str) -> Response:
    """Change the URL, the description and the events of a webhook."""
    fields = {"description": "", **_parse_form()}
    if "url" in request.form:  # a webhook that has a URL cannot lose it
        fields.setdefault("url", "")
    changes.update_webhook_row(_parse_path(webhook_id), WebhookChanges.model_validate(fields))
    return redirect_to("webhooks:show_webhook", webhook_id=webhook_id, note="webhook-changed")


@register_page("/webhooks/<webhook_id>/<act>", Scope.WEBHOOKS_WRITE, post=True, form=FormPage("webhooks:show_webhook"))
def change_webhook(webhook_id: str, act: str) -> Response:
    """Enable, disable, test or delete a webhook, or rotate its secret."""
    with changes.lock_webhook(_parse_path(webhook_id), ACTS.get(act)) as (session, row):
        before = row.status
        match act:
            case "enable":
                endpoints.enable_endpoint(row)
            case "disable":
                endpoints.disable_endpoint(session, row, DisabledReason.OWNER)
            case "test":
                changes.publish_test_event(session, row)
            case "delete":
                endpoints.delete_endpoint(session, row)
            case "rotate":
                secret = endpoints.rotate_secret(
                    session, current_context().cipher, row, timedelta(seconds=USUAL_OVERLAP)
                )
            case _:
                raise refuse_not_found()
    if act == "rotate":
        return _render_webhook(webhook_id, serializers.serialize_webhook(row, secret).secret)
    if act == "delete":
        return redirect_to("webhooks:list_webhooks", note="webhook-deleted")
    return redirect_to("webhooks:show_webhook", webhook_id=webhook_id, note=_choose_note(act, before))


@register_page("/webhooks/<webhook_id>/deliveries/<delivery_id>", Scope.WEBHOOKS_READ)
def show_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Show a delivery with its payload and attempts."""
    path = DeliveryPath.model_validate({"webhook_id": webhook_id, "delivery_id": delivery_id})
    with current_context().database.reading() as session:
        row = changes.load_message(session, path)
        tries = delivery_log.list_attempts(session, row.id)
        endpoint = endpoints.find_endpoint(session, current_caller().owner, path.webhook_id)
    delivery = serializers.serialize_delivery(row, tries[0] if tries else None, with_body=True)
    return render_page("webhooks/delivery.html", delivery=delivery, tries=tries, webhook=endpoint)


@register_page(
    "/webhooks/<webhook_id>/deliveries/<delivery_id>/resend",
    Scope.WEBHOOKS_WRITE,
    post=True,
    form=FormPage("webhooks:show_delivery"),
)
def resend_delivery(webhook_id: str, delivery_id: str) -> Response:
    """Send a message again."""
    path = DeliveryPath.model_validate({"webhook_id": webhook_id, "delivery_id": delivery_id})
    with changes.lock_webhook(path) as (session, endpoint):
        changes.refuse_disabled(endpoint)
        is_sent_again = outbox.resend_message(session, changes.load_message(session, path, to_change=True))
    note = "delivery-resent" if is_sent_again else "delivery-on-its-way"
    return redirect_to("webhooks:show_webhook", webhook_id=webhook_id, note=note)


def _parse_path(webhook_id: str) -> WebhookPath:
    return WebhookPath.model_validate({"webhook_id": webhook_id})


def _parse_form() -> dict[str, Any]:
    """Return the request body of the form; empty fields are omitted, but not the events: at least one is required."""
    texts = {name: request.form.get(name, "").strip() for name in ("url", "description")}
    return {name: text for name, text in texts.items() if text} | {"events": request.form.getlist("event")}


def _choose_note(act: str, before: EndpointStatus) -> str:
    """Return the notice for an act on a webhook that had the status *before*."""
    if act == "test":
        return "webhook-tested"
    after = EndpointStatus.ENABLED if act == "enable" else EndpointStatus.DISABLED
    return f"webhook-{after}-before" if before is after else f"webhook-{after}"


def _render_webhooks() -> Response:
    with current_context().database.reading() as session:
        rows = endpoints.list_endpoints(session, current_caller().owner)
    return render_page(
        "webhooks/list.html",
        webhooks=[serializers.serialize_webhook(row) for row in rows],
        events=EVENTS,
        usual=USUAL_EVENTS,
    )


def _render_webhook(webhook_id: str, secret: str | None = None) -> Response:
    path = _parse_path(webhook_id)
    with current_context().database.reading() as session:
        row = endpoints.find_endpoint(session, current_caller().owner, path.webhook_id)
        if row is None:
            raise refuse_not_found()
        state = read_choice("state", MessageState)
        book = f"webhooks/{webhook_id}"
        page = delivery_log.list_messages(
            session, row.id, state=state, job_id=None, after=decode_cursor(book), limit=PAGE_SIZE
        )
        last = delivery_log.load_last_attempts(session, page.rows)
    return render_page(
        "webhooks/webhook.html",
        webhook=serializers.serialize_webhook(row),
        secret=secret,
        deliveries=[serializers.serialize_delivery(each, last.get(each.id)) for each in page.rows],
        next=encode_cursor(book, page.next_after),
        filters=read_filters("state"),
        states=[*MessageState],
        events=EVENTS,
    )
