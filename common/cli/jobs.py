"""``pressroom jobs``."""

import json
import sys

import click

from common.cli.connection import connect, watch as follow
from common.cli.tables import print_table
from common.client import Json
from common.states import JobStatus

LONGEST_PROMPT = 48


@click.group()
def jobs() -> None:
    """List, show, watch and cancel jobs."""


@jobs.command(name="list")
@click.option("--status", type=click.Choice([str(status) for status in JobStatus]), help="Only jobs with this status.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(status: str | None, limit: int, as_json: bool) -> None:
    """List the newest jobs."""
    with connect() as client:
        found = list(client.jobs(status=status, limit=limit))
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    print_table(["job", "status", "images", "cost", "made", "prompt"], [_row(job) for job in found])


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(job_id: str, as_json: bool) -> None:
    """Show one job and its images."""
    with connect() as client:
        job = client.job(job_id)
    _print(job, as_json=as_json)


@jobs.command()
@click.argument("job_id", metavar="JOB")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def watch(job_id: str, as_json: bool) -> None:
    """Follow a job until it has ended, then show it; the exit status is 1 unless it succeeded."""
    with connect() as client:
        job = follow(client, client.job(job_id))
    _print(job, as_json=as_json)
    if job["status"] != JobStatus.SUCCEEDED:
        sys.exit(1)


@jobs.command()
@click.argument("job_id", metavar="JOB")
def cancel(job_id: str) -> None:
    """Cancel a job: a press that works on it stops at its next step."""
    with connect() as client:
        job = client.cancel(job_id)
    click.echo(f"Job {job['id']} is {job['status']}.", err=True)


def _print(job: Json, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(job, indent=2))
        return
    facts = {
        "job": job["id"],
        "status": job["status"],
        "progress": f"step {job['progress']['step']} of {job['progress']['steps']}",
        "prompt": job["request"]["prompt"],
        "model": job["request"]["model"],
        "size": f"{job['request']['width']} × {job['request']['height']}",
        "cost": f"{job['cost']['amount']} {job['cost']['currency']}",
        "spent": f"{job['cost']['gpu_seconds']:.2f} accelerator seconds",
        "error": job["error"]["message"] if job["error"] else None,
        "made": job["created_at"],
        "finished": job["finished_at"],
    }
    for name, value in facts.items():
        if value is not None:
            click.echo(f"{name:<9} {value}")
    for image in job["images"]:
        click.echo(f"image {image['index']:<3} {image['status']}, seed {image['seed']}  {image['url'] or ''}".rstrip())


def _row(job: Json) -> list[object]:
    prompt = job["request"]["prompt"]
    short = prompt if len(prompt) <= LONGEST_PROMPT else f"{prompt[: LONGEST_PROMPT - 1]}…"
    cost = f"{job['cost']['amount']} {job['cost']['currency']}"
    return [job["id"], job["status"], len(job["images"]), cost, job["created_at"], short]
