"""``pressroom submit``."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import click

from common.cli.client import Client, Json
from common.cli.connection import connect_client, save_images, watch_job
from common.jobs.request import OutputFormat, SchedulerName
from common.states.jobs import JobStatus, Priority


class _NamedScale(click.ParamType[Json]):
    """An adapter name with an optional scale after a colon."""

    name = "NAME[:SCALE]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Json:
        name, colon, scale = str(value).partition(":")
        if not colon:
            return {"name": name}
        try:
            number = float(scale)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{scale!r} is not a number; use for example {name}:0.8.", param, ctx)
        return {"name": name, "scale": number}


_FILE = click.Path(exists=True, dir_okay=False, readable=True, path_type=Path)


@click.command()
@click.argument("prompt")
@click.option("--negative", "negative_prompt", help="Negative prompt.")
@click.option("--model", help="Name of a model.")
@click.option("--style", help="Style, NAME or NAME@VERSION.")
@click.option("--width", type=int, help="In pixels.")
@click.option("--height", type=int, help="In pixels.")
@click.option("--steps", type=int, help="Denoising steps.")
@click.option("--guidance", "guidance_scale", type=float, help="Guidance scale.")
@click.option("--seed", type=int, help="Seed of the first image; increased by one for each further image.")
@click.option("--num-images", type=int, help="Number of images.")
@click.option("--scheduler", type=click.Choice([str(name) for name in SchedulerName]), help="Scheduler of the model.")
@click.option("--adapter", "adapters", type=_NamedScale(), multiple=True, help="Adapter of the model; can be repeated.")
@click.option("--init-image", type=_FILE, help="Source image file.")
@click.option("--mask", "mask_image", type=_FILE, help="Mask file; white areas are regenerated.")
@click.option("--strength", type=float, help="How much the source image may change, from 0 to 1.")
@click.option("--format", "output_format", type=click.Choice([str(name) for name in OutputFormat]), help="File format.")
@click.option("--priority", type=click.Choice([str(name) for name in Priority]), help="Priority class.")
@click.option("--wait", is_flag=True, help="Wait until the job ends; the exit status is 1 unless it succeeded.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Wait and save the images here.")
@click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
def submit(wait: bool, out: Path | None, as_json: bool, **options: Any) -> None:
    """Submit a job for PROMPT.

    Prints the job id; with --wait the image URLs; with --out the saved files.
    """
    with connect_client() as client:
        for field in ("init_image", "mask_image"):
            if isinstance(file := options[field], Path):
                options[field] = client.upload_asset(file.name, file.read_bytes())["id"]
        job = client.submit({name: value for name, value in options.items() if value not in (None, ())})
        _print_dropped_tokens(job)
        if not wait and out is None:
            click.echo(json.dumps(job, indent=2) if as_json else job["id"])
            return
        job = watch_job(client, job)
        _print_outcome(client, job, out, as_json=as_json)
    if job["status"] != JobStatus.SUCCEEDED:
        sys.exit(1)


def _print_dropped_tokens(job: Json) -> None:
    """Say on standard error if the model does not read the prompt to its end; an older service does not know."""
    tokens = job.get("prompt_tokens") or {"dropped": 0}
    if tokens["dropped"]:
        left_out = f"{tokens['dropped']} {'is' if tokens['dropped'] == 1 else 'are'} left out"
        click.echo(f"The model reads the first {tokens['read']} tokens of this prompt; {left_out}.", err=True)


def _print_outcome(client: Client, job: Json, out: Path | None, *, as_json: bool) -> None:
    files = save_images(client, job, out) if out else []
    if as_json:
        click.echo(json.dumps(job, indent=2))
    elif out:
        for file in files:
            click.echo(file)
    else:
        for image in job["images"]:
            click.echo(image["url"] or f"image {image['index']} was {image['status']}")
    if job["status"] != JobStatus.SUCCEEDED:
        reason = f": {job['error']['message']}" if job["error"] else ""
        click.echo(f"Job {job['id']} {_format_ending(job['status'])}{reason}", err=True)


def _format_ending(status: str) -> str:
    return {JobStatus.FAILED: "failed", JobStatus.EXPIRED: "expired"}.get(JobStatus(status), f"was {status}")
