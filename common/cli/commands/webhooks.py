"""``pressroom webhooks``."""

import click

from common.cli.client import Json
from common.cli.connection import connect_client_as
from common.cli.output import as_json_option, print_json, print_table
from common.cli.owner_client import OwnerClient
from common.states.webhooks import CAMPAIGN_EVENTS, JOB_EVENTS, MessageState

EVENTS = [str(event) for event in (*JOB_EVENTS, *CAMPAIGN_EVENTS)]
_webhook = click.argument("webhook_id", metavar="WEBHOOK")


@click.group()
def webhooks() -> None:
    """List, create and test webhooks, and show deliveries."""


@webhooks.command(name="list")
@as_json_option
def list_(as_json: bool) -> None:
    """List webhooks, newest first."""
    with connect_client_as(OwnerClient) as client:
        found = client.webhooks()
    if as_json:
        print_json(found)
        return
    rows = [[each["id"], each["status"], each["failures"], each["url"], " ".join(each["events"])] for each in found]
    print_table(["webhook", "status", "failures", "url", "events"], rows)


@webhooks.command()
@click.argument("url", required=False)
@click.option("--event", "events", multiple=True, type=click.Choice(EVENTS), help="Event to send; can be repeated.")
@click.option("--description", help="Description.")
@as_json_option
def create(url: str | None, events: tuple[str, ...], description: str | None, as_json: bool) -> None:
    """Create a webhook for URL; without URL, it signs messages of jobs that set webhook_url.

    Prints only its secret on standard output; the secret cannot be shown again.
    """
    with connect_client_as(OwnerClient) as client:
        made = client.create_webhook(url, events, description)
    _print_secret(made, as_json=as_json)


@webhooks.command()
@_webhook
@as_json_option
def test(webhook_id: str, as_json: bool) -> None:
    """Send a test message."""
    with connect_client_as(OwnerClient) as client:
        delivery = client.change_webhook(webhook_id, "test")
    _print_delivery(delivery, as_json=as_json)


@webhooks.command()
@_webhook
@click.option("--overlap", type=click.IntRange(0), help="Seconds until the old secret expires; by default a day.")
@as_json_option
def rotate(webhook_id: str, overlap: int | None, as_json: bool) -> None:
    """Rotate the secret of a webhook and print the new one, which cannot be shown again."""
    with connect_client_as(OwnerClient) as client:
        made = client.rotate(webhook_id, overlap)
    _print_secret(made, as_json=as_json)


@webhooks.command()
@_webhook
@as_json_option
def enable(webhook_id: str, as_json: bool) -> None:
    """Enable a webhook."""
    _change_webhook(webhook_id, "enable", as_json=as_json)


@webhooks.command()
@_webhook
@as_json_option
def disable(webhook_id: str, as_json: bool) -> None:
    """Disable a webhook."""
    _change_webhook(webhook_id, "disable", as_json=as_json)


@webhooks.command()
@_webhook
@click.option("--yes", is_flag=True, help="Delete without asking.")
@as_json_option
def delete(webhook_id: str, yes: bool, as_json: bool) -> None:
    """Delete a webhook and its deliveries."""
    if not yes:
        click.confirm("Delete this webhook and all its deliveries?", err=True, abort=True)
    with connect_client_as(OwnerClient) as client:
        client.delete_webhook(webhook_id)
    if as_json:
        print_json({"deleted": webhook_id})


@webhooks.command()
@_webhook
@click.option("--state", type=click.Choice([str(state) for state in MessageState]), help="Filter by state.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Maximum number of deliveries.")
@as_json_option
def deliveries(webhook_id: str, state: str | None, limit: int, as_json: bool) -> None:
    """List the deliveries of a webhook, newest first."""
    with connect_client_as(OwnerClient) as client:
        found = list(client.deliveries(webhook_id, state=state, limit=limit))
    if as_json:
        print_json(found)
        return
    rows = [
        [each["id"], each["event"], each["state"], each["attempts"], _format_answer(each), each["created_at"]]
        for each in found
    ]
    print_table(["delivery", "event", "state", "attempts", "last response", "created"], rows)


@webhooks.command()
@_webhook
@click.argument("delivery_id", metavar="DELIVERY")
@as_json_option
def resend(webhook_id: str, delivery_id: str, as_json: bool) -> None:
    """Resend a delivery."""
    with connect_client_as(OwnerClient) as client:
        delivery = client.resend(webhook_id, delivery_id)
    _print_delivery(delivery, as_json=as_json)


def _change_webhook(webhook_id: str, verb: str, *, as_json: bool) -> None:
    with connect_client_as(OwnerClient) as client:
        changed = client.change_webhook(webhook_id, verb)
    if as_json:
        print_json(changed)
    else:
        click.echo(f"Webhook {webhook_id} is {changed['status']}.", err=True)


def _print_secret(webhook: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(webhook)
        return
    click.echo(f"Webhook {webhook['id']}; its secret, which is not shown again:", err=True)
    click.echo(webhook["secret"])


def _print_delivery(delivery: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(delivery)
    else:
        click.echo(f"Delivery {delivery['id']} is {delivery['state']}.", err=True)


def _format_answer(delivery: Json) -> str | None:
    last = delivery["last_attempt"]
    return None if last is None else str(last["error"] or last["status"])
