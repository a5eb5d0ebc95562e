"""``pressroom campaign``."""

import sys
from pathlib import Path
from typing import Any

import click

from common.campaigns.recipients.formats import encodings
from common.campaigns.spec import OnBlock, SeedRule
from common.cli import campaign_run
from common.cli.campaign_client import CampaignClient
from common.cli.client import Json
from common.cli.connection import connect_client_as
from common.cli.output import as_json_option, print_json, print_table
from common.states.campaigns import CampaignStatus

PROOFS = 4
RETRY_FILTERS = ("failed", "blocked", "retryable")
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_charset_option = click.option(
    "--charset",
    type=click.Choice([*encodings.TITLES], case_sensitive=False),
    metavar="NAME",
    help="Encoding of the file, such as windows-1250; by default it is detected.",
)


@click.group()
def campaign() -> None:
    """Print one prompt template for many recipients."""


@campaign.command()
@click.argument("recipients", type=_FILE)
@click.option("--template", required=True, help="Prompt template with {{ column }} placeholders.")
@click.option("--budget", required=True, help="Maximum cost.")
@click.option("--name", help="Name of the campaign; by default the file name.")
@click.option("--negative", help="Negative prompt.")
@click.option("--style", help="Style, NAME or NAME@VERSION.")
@click.option("--id-column", help="Column that identifies the recipients, such as email; by default recipient_id.")
@_charset_option
@click.option("--variant", "variants", multiple=True, help="Variant as NAME=TEMPLATE; can be repeated.")
@click.option("--images", type=int, help="Images per recipient.")
@click.option("--seed-rule", type=click.Choice([str(rule) for rule in SeedRule]), help="How seeds are chosen.")
@click.option("--on-block", type=click.Choice([str(way) for way in OnBlock]), help="Action if an image is blocked.")
@click.option("--palette-floor", type=float, help="Minimum palette score; images below it are re-rolled.")
@click.option("--proofs", default=PROOFS, show_default=True, type=click.IntRange(0, 50), help="Number of proofs.")
@click.option("--links", is_flag=True, help="Create public links and list them in results.csv.")
@click.option("--names", help="File name pattern such as {recipient_id}-{index}.")
@click.option("--out", type=_FOLDER, help="Folder for the results; by default named after the file.")
@click.option("--yes", is_flag=True, help="Approve without asking.")
@as_json_option
def run(
    recipients: Path,
    id_column: str | None,
    charset: str | None,
    proofs: int,
    links: bool,
    names: str | None,
    out: Path | None,
    yes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Run a campaign for the rows of the file RECIPIENTS: proofs, approval, printing and results.

    Rejected rows are reported first. Then proofs are printed and the total cost is quoted; nothing more is printed
    until you confirm. The exit status is 1 unless everything was printed.
    """
    folder = out or Path(f"{recipients.stem}-results")
    with connect_client_as(CampaignClient) as client:
        body = _build_body(options, recipients)
        made = campaign_run.prepare_campaign(client, body, recipients, folder, id_column=id_column, charset=charset)
        if proofs:
            made = campaign_run.run_proofs(client, made, proofs, folder)
        question = f"Print the campaign for at most {options['budget']} {made['budget']['currency']}?"
        if not yes and not _confirm_question(question):
            click.echo(f"Nothing more is printed. To continue: pressroom campaign approve {made['id']}", err=True)
            sys.exit(1)
        if links:
            client.make_links(made["id"])
        made = campaign_run.run_campaign(client, made)
        campaign_run.save_results(client, made["id"], folder, names)
    is_whole = campaign_run.print_outcome(made, folder)
    if as_json:
        print_json(made)
    else:
        click.echo(folder)
    if not is_whole:
        sys.exit(1)


@campaign.command(name="list")
@click.option("--status", type=click.Choice([str(status) for status in CampaignStatus]), help="Filter by status.")
@as_json_option
def list_(status: str | None, as_json: bool) -> None:
    """List campaigns, newest first."""
    with connect_client_as(CampaignClient) as client:
        found = list(client.campaigns(status=status))
    if as_json:
        print_json(found)
        return
    rows = [
        [each["id"], each["status"], each["recipients"]["accepted"], _format_cost(each), each["name"]] for each in found
    ]
    print_table(["campaign", "status", "recipients", "spent", "name"], rows)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def show(campaign_id: str, as_json: bool) -> None:
    """Show the status of a campaign."""
    with connect_client_as(CampaignClient) as client:
        _print_campaign(client.campaign(campaign_id), as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.argument("recipients", type=_FILE)
@click.option("--id-column", help="Column that identifies the recipients; by default that of the campaign's list.")
@_charset_option
@click.option("--out", type=_FOLDER, default=".", help="Folder for the rejected rows.")
@as_json_option
def append(
    campaign_id: str, recipients: Path, id_column: str | None, charset: str | None, out: Path, as_json: bool
) -> None:
    """Add the rows of a file, such as a corrected errors.csv; they need a separate approval."""
    with connect_client_as(CampaignClient) as client:
        receipt = client.upload_recipients(campaign_id, recipients, mode="append", id_column=id_column, charset=charset)
        campaign_run.print_receipt(client, campaign_id, receipt, out)
    if as_json:
        print_json(receipt)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def approve(campaign_id: str, as_json: bool) -> None:
    """Approve the current state of a campaign and start it."""
    with connect_client_as(CampaignClient) as client:
        client.approve(campaign_id, client.campaign(campaign_id)["spec_digest"])
        now = client.campaign(campaign_id)
        if now["status"] != CampaignStatus.RUNNING:
            now = client.act(campaign_id, "start")
    _print_change(now, as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def watch(campaign_id: str, as_json: bool) -> None:
    """Follow a campaign until it ends, pauses or is held."""
    with connect_client_as(CampaignClient) as client:
        _print_campaign(campaign_run.watch_campaign(client, campaign_id), as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def pause(campaign_id: str, as_json: bool) -> None:
    """Pause a campaign; images in progress are finished."""
    _change_campaign(campaign_id, "pause", as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def resume(campaign_id: str, as_json: bool) -> None:
    """Resume a paused or held campaign."""
    _change_campaign(campaign_id, "resume", as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def cancel(campaign_id: str, as_json: bool) -> None:
    """Permanently cancel a campaign; printed images are kept."""
    _change_campaign(campaign_id, "cancel", as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--only", type=click.Choice(RETRY_FILTERS), help="Images to retry; by default all.")
@as_json_option
def retry(campaign_id: str, only: str | None, as_json: bool) -> None:
    """Retry failed or blocked images."""
    _change_campaign(campaign_id, "retry", as_json=as_json, **({"only": only} if only else {}))


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.argument("amount")
@as_json_option
def budget(campaign_id: str, amount: str, as_json: bool) -> None:
    """Change the budget of a campaign; a campaign held for its budget resumes."""
    with connect_client_as(CampaignClient) as client:
        now = client.change_budget(campaign_id, amount)
    _print_change(now, as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--names", help="File name pattern such as {recipient_id}-{index}.")
@click.option("--out", type=_FOLDER, required=True, help="Target folder.")
@as_json_option
def results(campaign_id: str, names: str | None, out: Path, as_json: bool) -> None:
    """Save the current results.csv, errors, contact sheet and images of a campaign."""
    with connect_client_as(CampaignClient) as client:
        campaign_run.save_results(client, campaign_id, out, names)
    if as_json:
        print_json({"folder": str(out), "files": sorted(str(file) for file in out.rglob("*") if file.is_file())})
        return
    click.echo(out)


def _confirm_question(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:  # no terminal, or the user pressed Ctrl-C
        return False


def _change_campaign(campaign_id: str, verb: str, *, as_json: bool, **query: str) -> None:
    with connect_client_as(CampaignClient) as client:
        now = client.act(campaign_id, verb, **query)
    _print_change(now, as_json=as_json)


def _print_change(now: Json, *, as_json: bool) -> None:
    """Print the changed campaign, or its status."""
    if as_json:
        print_json(now)
    else:
        spendable = f", budget {now['budget']['amount']} {now['budget']['currency']}"
        click.echo(f"Campaign {now['id']} is {now['status']}{spendable}.", err=True)


def _build_body(options: dict[str, Any], recipients: Path) -> Json:
    """Return the request body."""
    asked = {
        "name": options["name"] or recipients.stem,
        "template": {"prompt": options["template"]}
        | ({"negative_prompt": options["negative"]} if options["negative"] else {}),
        "budget": {"amount": options["budget"]},
        "variants": campaign_run.parse_variants(options["variants"]) or None,
        "images_per_recipient": options["images"],
        **{name: options[name] for name in ("style", "seed_rule", "on_block", "palette_floor")},
    }
    return {name: value for name, value in asked.items() if value is not None}


def _format_cost(shown: Json) -> str:
    budget = shown["budget"]
    return f"{budget['spent']} of {budget['amount']} {budget['currency']}"


def _print_campaign(shown: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
        return
    prints, recipients = shown["progress"]["prints"], shown["recipients"]
    counted = ("printed", "blocked", "failed", "canceled", "erased", "ordered", "waiting")
    facts = {
        "campaign": shown["id"],
        "name": shown["name"],
        "status": f"{shown['status']}{f', {reason}' if (reason := shown['held_reason']) else ''}",
        "recipients": f"{recipients['accepted']}, {recipients['approved']} approved; {recipients['rejected']} rejected",
        "prints": ", ".join(f"{prints[name]} {name}" for name in counted if prints[name]) or None,
        "spent": f"{_format_cost(shown)}, {shown['budget']['held']} held",
        "finishes": shown["progress"]["finishes_at"],
        "digest": shown["spec_digest"],
    }
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name:<11} {value}")
