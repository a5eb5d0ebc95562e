"""``pressroom models``."""

import os
import sys
from pathlib import Path

import click

from common.cli.connection import connect_client_as
from common.cli.diagnostics import list_missing_packages
from common.cli.output import as_json_option, print_json, print_table
from common.cli.owner_client import OwnerClient
from common.cli.selftest import MODELS_ONLY, SelftestError, run_selftest
from common.errors import ModelUnavailableError, SettingsError
from common.models import catalog, files
from common.models.catalog import PAINTED, STARTER, ModelCard
from common.settings import PREFIX, Settings

TRIAL_SECONDS = 3600
SETTING = f"{PREFIX}MODELS"
_directory = click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))


@click.group()
def models() -> None:
    """List, check and add models."""


@models.command(name="list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the available models."""
    with connect_client_as(OwnerClient) as client:
        found = client.models()
    if as_json:
        print_json(found)
        return
    rows = [
        [
            each["id"],
            each["family"],
            "yes" if each["available"] else "no",
            f"{each['defaults']['width']} × {each['defaults']['height']}",
            each["defaults"]["steps"],
            " ".join(adapter["name"] for adapter in each["adapters"]) or None,
            each["title"],
        ]
        for each in found
    ]
    print_table(["model", "family", "available", "default size", "steps", "adapters", "title"], rows)
    for each in found:
        if (reason := each.get("unavailable_reason")) is not None:  # an older api does not tell
            click.echo(f"{each['id']}: {reason}", err=True)


@models.command()
@_directory
@as_json_option
def check(directory: Path, as_json: bool) -> None:
    """Check whether the model in DIRECTORY can be served; its code is not run.

    Where the packages of a press are installed, the model is loaded, and generates a small image. The exit status is 1
    if it cannot be served.
    """
    card, fault = _examine_directory(directory)
    if as_json:
        print_json({"card": None if card is None else card.model_dump(mode="json", exclude={"fault"}), "fault": fault})
    elif card is not None:
        _print_card(card)
    if fault is not None:
        if not as_json:
            click.echo(f"Error: {fault}", err=True)
        sys.exit(1)


@models.command()
@_directory
@as_json_option
def add(directory: Path, as_json: bool) -> None:
    """Check the model in DIRECTORY and print the setting that adds it to the current models.

    Add the line to the environment of every press, then restart the presses.
    """
    card, fault = _examine_directory(directory)
    if card is None or fault is not None:
        raise ModelUnavailableError(fault or f"{directory} does not contain a model.")
    settings = Settings.from_environ()
    now = [entry for entry in settings.models or (str(STARTER),) if entry != PAINTED]
    entries = [*now, *([] if str(directory.resolve()) in now else [str(directory.resolve())])]
    catalog.load_offered_models(settings.model_copy(update={"models": tuple(entries)}))
    if as_json:
        print_json({"name": card.name, "setting": SETTING, "value": ",".join(entries)})
        return
    click.echo(f"{card.title} will be available as {card.name}. Set this for every press, then restart it:", err=True)
    click.echo(f"{SETTING}={','.join(entries)}")


def _examine_directory(directory: Path) -> tuple[ModelCard | None, str | None]:
    """Return the card of a directory if it can be read, and its fault if there is one."""
    card = None
    try:
        card = catalog.read_card(directory)
        _check_offered(directory)
        files.check_model_directory(directory)
        return try_model(directory) or card, None
    except (ModelUnavailableError, SelftestError, SettingsError) as error:
        return card, error.message


def _check_offered(directory: Path) -> None:
    """Raise SettingsError unless a press can be told to offer the model in *directory*."""
    path = str(directory.resolve())
    alone = Settings.from_environ({SETTING: path})
    if alone.models != (path,):
        raise SettingsError(f"{path}: {SETTING} cannot hold a path with commas or ending in a space; rename it.")
    catalog.load_offered_models(alone)


def try_model(directory: Path) -> ModelCard | None:
    """Load the model and generate an image as a press does; return its card, or None where no press can run.

    Raises ModelUnavailableError or SelftestError.
    """
    if list_missing_packages():
        click.echo("Not tried: the packages of a press are not installed here.", err=True)
        return None
    environ = {name: value for name, value in os.environ.items() if name != f"{PREFIX}DEFAULT_MODEL"}
    for result in run_selftest(environ | {SETTING: str(directory.resolve())}, TRIAL_SECONDS, MODELS_ONLY):
        if not result["ok"]:
            raise ModelUnavailableError(result["fault"])
        tried = ModelCard.model_validate(result["card"])
    return tried


def _describe_sizes(card: ModelCard) -> str:
    default = f"{card.default_width} × {card.default_height}"
    if card.fixed_size:
        return f"{default} only"
    return f"{card.min_size} to {card.max_size}, multiples of {card.size_multiple}; default {default}"


def _print_card(card: ModelCard) -> None:
    facts = {
        "model": card.name,
        "title": card.title,
        "family": card.family,
        "batching": "with other requests" if card.batching else "one request at a time",
        "sizes": _describe_sizes(card),
        "steps": f"{card.max_steps} at most; default {card.default_steps}",
        "guidance": "not supported" if card.guidance_scale is False else card.default_guidance_scale,
        "modes": ", ".join(card.modes),
        "samplers": ", ".join(card.schedulers) or "model default",
        "adapters": ", ".join(adapter.name for adapter in card.adapters) or "–",
    }
    for name, value in facts.items():
        click.echo(f"{name:<9} {value}")
