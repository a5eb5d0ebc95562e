"""``pressroom campaign``."""

import sys
from pathlib import Path
from typing import Any

import click

from common.campaigns.spec import OnBlock, SeedRule
from common.cli import campaign_run
from common.cli.campaign_client import CampaignClient
from common.cli.client import Json
from common.cli.connection import connect_as
from common.cli.output import as_json_option, print_json, print_table
from common.tables.campaign_states import CampaignStatus

PROOFS = 4
ONLY = ("failed", "blocked", "retryable")
_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def campaign() -> None:
    """Print one template for many recipients."""


@campaign.command()
@click.argument("recipients", type=_FILE)
@click.option("--template", required=True, help="The prompt, with {{ columns }} of the file in it.")
@click.option("--budget", required=True, help="The most that it may cost.")
@click.option("--name", help="What it is called; by default like the file.")
@click.option("--negative", help="What the pictures shall not show.")
@click.option("--style", help="One of your styles, NAME or NAME@VERSION.")
@click.option("--variant", "variants", multiple=True, help="NAME=TEMPLATE of one arm of a split; can be repeated.")
@click.option("--images", type=int, help="Pictures for each recipient.")
@click.option("--seed-rule", type=click.Choice([str(rule) for rule in SeedRule]), help="Where seeds come from.")
@click.option("--on-block", type=click.Choice([str(way) for way in OnBlock]), help="What to do about a block.")
@click.option("--palette-floor", type=float, help="Palette score below which a picture is rolled again.")
@click.option("--proofs", default=PROOFS, show_default=True, type=click.IntRange(0, 50), help="Rows to print first.")
@click.option("--links", is_flag=True, help="Make public links for e-mails; they stand in results.csv.")
@click.option("--names", help="Pattern of the pictures' file names, as {recipient_id}-{index}.")
@click.option("--out", type=_FOLDER, help="Folder of the results; by default called like the file.")
@click.option("--yes", is_flag=True, help="Approve without asking.")
@as_json_option
def run(
    recipients: Path,
    proofs: int,
    links: bool,
    names: str | None,
    out: Path | None,
    yes: bool,
    as_json: bool,
    **wish: Any,
) -> None:
    """Print a picture for each row of the file RECIPIENTS, from the first look to a folder of results.

    Rows that cannot be printed are told first, then some are proofed and the whole is quoted; nothing more is printed
    before you have agreed. Exits with 1 unless all was printed.
    """
    folder = out or Path(f"{recipients.stem}-results")
    with connect_as(CampaignClient) as client:
        made = campaign_run.prepare(client, _complete(wish, recipients), recipients, folder)
        if proofs:
            made = campaign_run.proof(client, made, proofs, folder)
        question = f"Print all, for at most {wish['budget']} {made['budget']['currency']}?"
        if not yes and not _agree(question):
            click.echo(f"Nothing more is printed. To go on: pressroom campaign approve {made['id']}", err=True)
            sys.exit(1)
        if links:
            client.make_links(made["id"])
        made = campaign_run.run(client, made)
        campaign_run.save_results(client, made["id"], folder, names)
    is_whole = campaign_run.tell_end(made, folder)
    if as_json:
        print_json(made)
    else:
        click.echo(folder)
    if not is_whole:
        sys.exit(1)


@campaign.command(name="list")
@click.option("--status", type=click.Choice([str(status) for status in CampaignStatus]), help="Only with this status.")
@as_json_option
def list_(status: str | None, as_json: bool) -> None:
    """List campaigns, the newest first."""
    with connect_as(CampaignClient) as client:
        found = list(client.campaigns(status=status))
    if as_json:
        print_json(found)
        return
    rows = [[each["id"], each["status"], each["recipients"]["accepted"], _cost(each), each["name"]] for each in found]
    print_table(["campaign", "status", "recipients", "spent", "name"], rows)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def show(campaign_id: str, as_json: bool) -> None:
    """Show how a campaign stands."""
    with connect_as(CampaignClient) as client:
        _print(client.campaign(campaign_id), as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.argument("recipients", type=_FILE)
@click.option("--out", type=_FOLDER, default=".", help="Where rows that cannot be printed are saved.")
@as_json_option
def append(campaign_id: str, recipients: Path, out: Path, as_json: bool) -> None:
    """Append the rows of a file, such as a corrected errors.csv; they need an approval of their own."""
    with connect_as(CampaignClient) as client:
        receipt = client.hand_in_recipients(campaign_id, recipients, mode="append")
        campaign_run.tell_receipt(client, campaign_id, receipt, out)
    if as_json:
        print_json(receipt)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def approve(campaign_id: str, as_json: bool) -> None:
    """Approve a campaign as it stands, and start it."""
    with connect_as(CampaignClient) as client:
        client.approve(campaign_id, client.campaign(campaign_id)["spec_digest"])
        now = client.campaign(campaign_id)
        if now["status"] != CampaignStatus.RUNNING:
            now = client.act(campaign_id, "start")
    _tell(now, as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def watch(campaign_id: str, as_json: bool) -> None:
    """Follow a campaign until it does not go on by itself any more."""
    with connect_as(CampaignClient) as client:
        _print(campaign_run.watch(client, campaign_id), as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def pause(campaign_id: str, as_json: bool) -> None:
    """Have a campaign print nothing more for now."""
    _act(campaign_id, "pause", as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def resume(campaign_id: str, as_json: bool) -> None:
    """Have a paused or held campaign go on."""
    _act(campaign_id, "resume", as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@as_json_option
def cancel(campaign_id: str, as_json: bool) -> None:
    """End a campaign for good; what is printed stays."""
    _act(campaign_id, "cancel", as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--only", type=click.Choice(ONLY), help="By default all that came to nothing.")
@as_json_option
def retry(campaign_id: str, only: str | None, as_json: bool) -> None:
    """Try pictures again that came to nothing."""
    _act(campaign_id, "retry", as_json=as_json, **({"only": only} if only else {}))


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.argument("amount")
@as_json_option
def budget(campaign_id: str, amount: str, as_json: bool) -> None:
    """Change the budget of a campaign; one that was held for it goes on."""
    with connect_as(CampaignClient) as client:
        now = client.change_budget(campaign_id, amount)
    _tell(now, as_json=as_json)


@campaign.command()
@click.argument("campaign_id", metavar="CAMPAIGN")
@click.option("--names", help="Pattern of the pictures' file names, as {recipient_id}-{index}.")
@click.option("--out", type=_FOLDER, required=True, help="Folder to save them in.")
@as_json_option
def results(campaign_id: str, names: str | None, out: Path, as_json: bool) -> None:
    """Save results.csv, errors, contact sheet and pictures of a campaign as it stands."""
    with connect_as(CampaignClient) as client:
        campaign_run.save_results(client, campaign_id, out, names)
    if as_json:
        print_json({"folder": str(out), "files": sorted(str(file) for file in out.rglob("*") if file.is_file())})
        return
    click.echo(out)


def _agree(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort:  # nobody is there to be asked, or they have had enough
        return False


def _act(campaign_id: str, verb: str, *, as_json: bool, **query: str) -> None:
    with connect_as(CampaignClient) as client:
        now = client.act(campaign_id, verb, **query)
    _tell(now, as_json=as_json)


def _tell(now: Json, *, as_json: bool) -> None:
    """Print a campaign that was changed, or say how it is."""
    if as_json:
        print_json(now)
    else:
        spendable = f", with {now['budget']['amount']} {now['budget']['currency']} to spend"
        click.echo(f"Campaign {now['id']} is {now['status']}{spendable}.", err=True)


def _complete(wish: dict[str, Any], recipients: Path) -> Json:
    """Return what the api is asked for."""
    asked = {
        "name": wish["name"] or recipients.stem,
        "template": {"prompt": wish["template"]} | ({"negative_prompt": wish["negative"]} if wish["negative"] else {}),
        "budget": {"amount": wish["budget"]},
        "variants": campaign_run.read_variants(wish["variants"]) or None,
        "images_per_recipient": wish["images"],
        **{name: wish[name] for name in ("style", "seed_rule", "on_block", "palette_floor")},
    }
    return {name: value for name, value in asked.items() if value is not None}


def _cost(shown: Json) -> str:
    budget = shown["budget"]
    return f"{budget['spent']} of {budget['amount']} {budget['currency']}"


def _print(shown: Json, *, as_json: bool) -> None:
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
        "spent": f"{_cost(shown)}, {shown['budget']['held']} held",
        "finishes": shown["progress"]["finishes_at"],
        "digest": shown["spec_digest"],
    }
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name:<11} {value}")
