"""``pressroom images``."""

import hashlib
import sys
from pathlib import Path
from typing import Any

import click

from common.cli.client import Json
from common.cli.connection import EXTENSIONS, connect_client_as
from common.cli.output import as_json_option, print_json, print_table, since_option, until_option
from common.cli.owner_client import OwnerClient
from common.states.jobs import ImageStatus, Verdict

FILTERS = (
    click.option("--status", type=click.Choice([str(status) for status in ImageStatus]), help="Filter by status."),
    click.option("--verdict", type=click.Choice([str(each) for each in Verdict]), help="Filter by safety verdict."),
    click.option("--model", help="Filter by model."),
    click.option("--style", help="Filter by style, NAME or NAME@VERSION."),
    click.option("--job", "job_id", help="Filter by job."),
    click.option("--campaign", "campaign_id", help="Filter by campaign."),
    since_option,
    until_option,
)


def _add_filters(command: Any) -> Any:
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.group()
def images() -> None:
    """List, download and delete images."""


@images.command(name="list")
@_add_filters
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Maximum number of images.")
@as_json_option
def list_(limit: int, as_json: bool, **wanted: str | None) -> None:
    """List images, newest first."""
    with connect_client_as(OwnerClient) as client:
        found = list(client.images(_build_query(wanted), limit))
    if as_json:
        print_json(found)
        return
    rows = [
        [each["id"], each["status"], _format_size(each), each["seed"], _format_cost(each), each["created_at"]]
        for each in found
    ]
    print_table(["image", "status", "size", "seed", "cost", "created"], rows)


@images.command()
@click.argument("image_ids", metavar="[IMAGE]...", nargs=-1)
@_add_filters
@click.option("--limit", type=click.IntRange(1), help="Maximum number of images; by default all.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Target folder.")
@as_json_option
def download(image_ids: tuple[str, ...], limit: int | None, out: Path, as_json: bool, **wanted: str | None) -> None:
    """Save images in a folder: the given ones, or all that match the filters.

    Files already in the folder are not downloaded again. Images that were not published are skipped.
    """
    with connect_client_as(OwnerClient) as client:
        named = [client.image(image_id) for image_id in image_ids]
        found = named if image_ids else list(client.images(_build_query(wanted), limit))
        readable = [image for image in found if image["url"] is not None]
        out.mkdir(parents=True, exist_ok=True)
        with click.progressbar(readable, file=sys.stderr, label="saving") as bar:
            files = [_save_image(client, image, out) for image in bar]
    if as_json:
        print_json([{"id": image["id"], "file": str(file)} for image, file in zip(readable, files, strict=True)])
        return
    for file in files:
        click.echo(file)
    if len(readable) < len(found):
        click.echo(f"{len(found) - len(readable)} images were not published and are skipped.", err=True)


@images.command()
@click.argument("image_ids", metavar="IMAGE...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@as_json_option
def delete(image_ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Permanently delete images; their cost remains in the account."""
    if not yes:
        click.confirm(f"Permanently delete {len(image_ids)} images?", err=True, abort=True)
    with (
        connect_client_as(OwnerClient) as client,
        click.progressbar(image_ids, file=sys.stderr, label="deleting") as bar,
    ):
        for image_id in bar:
            client.erase(image_id)
    if as_json:
        print_json({"deleted": list(image_ids)})


def _build_query(wanted: dict[str, str | None]) -> dict[str, str | None]:
    renamed = {"since": "from", "until": "to"}
    return {renamed.get(name, name): value for name, value in wanted.items()}


def _save_image(client: OwnerClient, image: Json, folder: Path) -> Path:
    file = folder / f"{image['job_id']}-{image['index']}.{EXTENSIONS[image['content_type']]}"
    if not file.exists() or hashlib.sha256(file.read_bytes()).hexdigest() != image["sha256"]:
        file.write_bytes(client.download(image))
    return file


def _format_size(image: Json) -> str:
    return f"{image['width']} × {image['height']}"


def _format_cost(image: Json) -> str:
    return f"{image['cost']['amount']} {image['cost']['currency']}"
