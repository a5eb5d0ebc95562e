"""``pressroom images``."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import click

from common.cli.client import Json, OwnerClient
from common.cli.connection import EXTENSIONS, connect_as
from common.cli.output import as_json_option, print_json, print_table, since_option, until_option
from common.tables.states import ImageStatus, Verdict

FILTERS = (
    click.option("--status", type=click.Choice([str(status) for status in ImageStatus]), help="Only with this status."),
    click.option("--verdict", type=click.Choice([str(each) for each in Verdict]), help="Only with this verdict."),
    click.option("--model", help="Only of this model."),
    click.option("--style", help="Only in this style, NAME or NAME@VERSION."),
    click.option("--job", "job_id", help="Only of this job."),
    click.option("--campaign", "campaign_id", help="Only of this campaign."),
    since_option,
    until_option,
)


def _filtered(command: Any) -> Any:
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.group()
def images() -> None:
    """List, download and delete images."""


@images.command(name="list")
@_filtered
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many at most.")
@as_json_option
def list_(limit: int, as_json: bool, **wanted: str | None) -> None:
    """List images, the newest first."""
    with connect_as(OwnerClient) as client:
        found = list(client.images(_query(wanted), limit))
    if as_json:
        print_json(found)
        return
    rows = [[each["id"], each["status"], _size(each), each["seed"], _cost(each), each["created_at"]] for each in found]
    print_table(["image", "status", "size", "seed", "cost", "made"], rows)


@images.command()
@click.argument("image_ids", metavar="[IMAGE]...", nargs=-1)
@_filtered
@click.option("--limit", type=click.IntRange(1), help="How many at most; by default all.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder to save them in.")
@as_json_option
def download(image_ids: tuple[str, ...], limit: int | None, out: Path, as_json: bool, **wanted: str | None) -> None:
    """Save images in a folder: those that are named, else all that the filters let through.

    What is there already is not fetched again. Images that were not published are left out.
    """
    with connect_as(OwnerClient) as client:
        named = [client.image(image_id) for image_id in image_ids]
        found = named if image_ids else list(client.images(_query(wanted), limit))
        readable = [image for image in found if image["url"] is not None]
        out.mkdir(parents=True, exist_ok=True)
        with click.progressbar(readable, file=sys.stderr, label="saving") as bar:
            files = [_save(client, image, out) for image in bar]
    if as_json:
        print_json([{"id": image["id"], "file": str(file)} for image, file in zip(readable, files, strict=True)])
        return
    for file in files:
        click.echo(file)
    if len(readable) < len(found):
        click.echo(f"{len(found) - len(readable)} were not published and are left out.", err=True)


@images.command()
@click.argument("image_ids", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@as_json_option
def delete(image_ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete images for good; what they cost stays on the books."""
    if not yes:
        click.confirm(f"Delete {len(image_ids)} for good?", err=True, abort=True)
    with (
        connect_as(OwnerClient) as client,
        click.progressbar(image_ids, file=sys.stderr, label="deleting") as bar,
    ):
        for image_id in bar:
            client.erase(image_id)
    if as_json:
        print_json({"deleted": list(image_ids)})


def _query(wanted: dict[str, str | None]) -> dict[str, str | None]:
    renamed = {"since": "from", "until": "to"}
    return {renamed.get(name, name): value for name, value in wanted.items()}


def _save(client: OwnerClient, image: Json, folder: Path) -> Path:
    file = folder / f"{image['job_id']}-{image['index']}.{EXTENSIONS[image['content_type']]}"
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != image["sha256"]:
        file.write_bytes(client.download(image))
    return file


def _size(image: Json) -> str:
    return f"{image['width']} × {image['height']}"


def _cost(image: Json) -> str:
    return f"{image['cost']['amount']} {image['cost']['currency']}"
