"""Run a campaign from a file of recipients to a folder of results."""

import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import click

from common.cli.campaign_client import CampaignClient
from common.cli.client import Json
from common.cli.connection import EXTENSIONS
from common.cli.output import print_table
from common.errors import ApiRefusedError
from common.states.campaigns import CampaignStatus

MOST_SHOWN = 10
FALLBACK_EXTENSION = "png"


def prepare_campaign(
    client: CampaignClient,
    body: Mapping[str, Any],
    recipients: Path,
    folder: Path,
    *,
    id_column: str | None = None,
    charset: str | None = None,
) -> Json:
    """Create a campaign and upload its recipients; report rejected rows and save them for correction."""
    campaign = client.create_campaign(body)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        receipt = client.upload_recipients(campaign["id"], recipients, id_column=id_column, charset=charset)
    except ApiRefusedError:
        with suppress(ApiRefusedError):  # an unreadable file has no rows
            _save_errors(client, campaign["id"], folder)
        raise
    print_receipt(client, campaign["id"], receipt, folder)
    return client.campaign(campaign["id"])


def print_receipt(client: CampaignClient, campaign_id: str, receipt: Json, folder: Path) -> None:
    """Report the result of a recipients upload, and save its rejected rows in *folder*."""
    click.echo(f"{receipt['accepted']} of {receipt['total']} rows accepted.", err=True)
    for note in receipt["notes"]:
        click.echo(note, err=True)
    if receipt["rejected"]:
        for error in receipt["errors"][:MOST_SHOWN]:
            click.echo(f"  row {error['row']}: {error['detail']}", err=True)
        folder.mkdir(parents=True, exist_ok=True)
        file = _save_errors(client, campaign_id, folder, list=receipt["number"])
        click.echo(f"{receipt['rejected']} rows rejected; correct them in {file} and append that file.", err=True)


def run_proofs(client: CampaignClient, campaign: Json, k: int, folder: Path) -> Json:
    """Print and save proofs, show the quote, and return the campaign."""
    click.echo(f"Printing {k} proofs …", err=True)
    proofs = client.proof(campaign["id"], k)
    shown = folder / "proofs"
    shown.mkdir(parents=True, exist_ok=True)
    rows: list[list[object]] = []
    for number, each in enumerate(proofs["data"], 1):
        file = None
        if each["image_id"] is not None and each["url"] is not None:
            image = client.image(each["image_id"])
            file = shown / f"{number:02}.{EXTENSIONS.get(image['content_type'], FALLBACK_EXTENSION)}"
            file.write_bytes(client.download(image))
        rows.append([each["recipient_id"], each["status"], each["prompt"], file])
    print_table(["recipient", "status", "prompt", "file"], rows, err=True)
    dropped = max((each["prompt_tokens"]["dropped"] for each in proofs["data"] if each["prompt_tokens"]), default=0)
    if dropped:
        click.echo(f"The model does not read prompts to their end: up to {dropped} tokens had no effect.", err=True)
    _print_quote(proofs["quote"])
    return client.campaign(campaign["id"])


def run_campaign(client: CampaignClient, campaign: Json) -> Json:
    """Approve and start a campaign, and show its progress until it stops; return it."""
    client.approve(campaign["id"], campaign["spec_digest"])
    client.act(campaign["id"], "start")
    return watch_campaign(client, campaign["id"])


def watch_campaign(client: CampaignClient, campaign_id: str) -> Json:
    """Show a campaign's progress on standard error until it stops; return it."""
    wanted = client.campaign(campaign_id)["progress"]["prints"]["wanted"]
    with click.progressbar(length=max(1, wanted), file=sys.stderr, label="printing") as bar:

        def show(now: Json) -> None:
            prints, budget = now["progress"]["prints"], now["budget"]
            ended = sum(prints[name] for name in ("printed", "blocked", "failed", "canceled", "erased"))
            if sys.stderr.isatty():  # without a terminal each new label would print a line
                bar.label = f"{now['status']}, {budget['spent']} of {budget['amount']} {budget['currency']} spent"
            bar.update(ended - bar.pos)
            bar.render_progress()

        return client.follow(campaign_id, show)


def save_results(client: CampaignClient, campaign_id: str, folder: Path, pattern: str | None = None) -> None:
    """Save the results, errors, contact sheets and images of a campaign in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    client.save(f"/v1/campaigns/{campaign_id}/results.csv", folder / "results.csv")
    for each in client.campaign(campaign_id)["recipients"]["lists"]:
        if each["rejected"]:
            _save_errors(client, campaign_id, folder, list=each["number"])
    for page in count(1):
        sheet = folder / f"contact-sheet{'' if page == 1 else f'-{page}'}.png"
        if not client.save(f"/v1/campaigns/{campaign_id}/contact-sheet.png", sheet, page=page):
            break
    packed = folder / "pictures.zip"
    query = {"name": pattern} if pattern else {}
    client.save(f"/v1/campaigns/{campaign_id}/archive.zip", packed, **query)
    pictures = folder / "pictures"
    shutil.rmtree(pictures, ignore_errors=True)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(pictures)
    packed.unlink()


def print_outcome(campaign: Json, folder: Path) -> bool:
    """Report the outcome of a campaign; return whether everything was printed."""
    prints, budget = campaign["progress"]["prints"], campaign["budget"]
    counted = ("printed", "blocked", "failed", "canceled", "waiting")
    parts = [f"{prints[name]} {name}" for name in counted if prints[name]]
    click.echo(f"{campaign['name']} is {campaign['status']}: {', '.join(parts)}.", err=True)
    click.echo(f"It cost {budget['spent']} {budget['currency']}. Results: {folder}", err=True)
    if campaign["status"] == CampaignStatus.HELD:
        click.echo(
            f"The campaign is held ({campaign['held_reason']}). To continue, raise the budget:"
            f" pressroom campaign budget {campaign['id']} AMOUNT",
            err=True,
        )
    is_whole: bool = prints["printed"] + prints["erased"] == prints["wanted"]
    return is_whole and campaign["status"] == CampaignStatus.COMPLETED


def parse_variants(texts: Sequence[str]) -> list[Json]:
    """Return the variants from ``NAME=TEMPLATE`` options."""
    found = []
    for text in texts:
        name, equals, template = text.partition("=")
        if not equals:
            raise click.BadParameter(f"{text!r} is not of the form NAME=TEMPLATE.", param_hint="--variant")
        found.append({"name": name.strip(), "template": {"prompt": template.strip()}})
    return found


def _save_errors(client: CampaignClient, campaign_id: str, folder: Path, **query: int) -> Path:
    """Save the rejected rows of a list, by default the newest."""
    number = query.get("list", 1)
    file = folder / ("errors.csv" if number == 1 else f"errors-{number}.csv")
    client.save(f"/v1/campaigns/{campaign_id}/recipients/errors.csv", file, **query)
    return file


def _print_quote(quote: Json | None) -> None:
    if quote is None:
        click.echo("No proof was printed, so a quote is not available.", err=True)
        return
    amount, currency, seconds = quote["amount"], quote["currency"], 3600 * quote["hours"]["mean"]
    span = f" ({amount['low']} to {amount['high']})" if amount["low"] is not None else ""
    time = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"  # noqa: PLR2004  (minutes from two on)
    click.echo(
        f"{quote['prints']} images will cost about {amount['mean']} {currency}{span} and take about {time}.", err=True
    )
