"""``pressroom styles``."""

from typing import Any

import click

from common.cli.campaign_client import CampaignClient
from common.cli.client import Json
from common.cli.connection import connect_client_as
from common.cli.output import as_json_option, print_json, print_table
from common.jobs.request import OutputFormat, SchedulerName


@click.group()
def styles() -> None:
    """List, show and create styles."""


@styles.command(name="list")
@as_json_option
def list_(as_json: bool) -> None:
    """List the newest version of each style."""
    with connect_client_as(CampaignClient) as client:
        found = list(client.styles())
    _print_styles(found, as_json=as_json)


@styles.command()
@click.argument("reference", metavar="STYLE")
@as_json_option
def show(reference: str, as_json: bool) -> None:
    """Show a style: NAME for the newest version, NAME@3 for a fixed one."""
    with connect_client_as(CampaignClient) as client:
        found = client.style(reference)
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        if name != "object" and value not in (None, "", []):
            click.echo(f"{name.replace('_', ' '):<16} {' '.join(value) if name == 'palette' else value}")


@styles.command()
@click.argument("name")
@as_json_option
def versions(name: str, as_json: bool) -> None:
    """List the versions of the style NAME, newest first."""
    with connect_client_as(CampaignClient) as client:
        found = list(client.style_versions(name))
    _print_styles(found, as_json=as_json)


@styles.command()
@click.argument("name")
@click.option("--prefix", "prompt_prefix", help="Text before every prompt.")
@click.option("--suffix", "prompt_suffix", help="Text after every prompt.")
@click.option("--negative", "negative_prompt", help="Negative prompt.")
@click.option("--model", help="Name of a model.")
@click.option("--width", type=int, help="In pixels.")
@click.option("--height", type=int, help="In pixels.")
@click.option("--steps", type=int, help="Denoising steps.")
@click.option("--guidance", "guidance_scale", type=float, help="Guidance scale.")
@click.option("--scheduler", type=click.Choice([str(name) for name in SchedulerName]), help="Scheduler of the model.")
@click.option("--format", "output_format", type=click.Choice([str(name) for name in OutputFormat]), help="File format.")
@click.option("--colour", "palette", multiple=True, help="Palette colour such as #ff8800; up to eight.")
@as_json_option
def create(as_json: bool, **style: Any) -> None:
    """Create the style NAME or its next version; earlier versions do not change."""
    body = {name: list(value) if isinstance(value, tuple) else value for name, value in style.items()}
    with connect_client_as(CampaignClient) as client:
        made = client.create_style({name: value for name, value in body.items() if value not in (None, [])})
    if as_json:
        print_json(made)
    else:
        click.echo(made["reference"])


def _print_styles(found: list[Json], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows = [
        [each["reference"], each["model"], _format_prompt(each), " ".join(each["palette"]), each["created_at"]]
        for each in found
    ]
    print_table(["style", "model", "prompt", "palette", "created"], rows)


def _format_prompt(style: Json) -> str:
    return f"{style['prompt_prefix']} … {style['prompt_suffix']}".strip()
