"""``pressroom jobs``."""

import sys

import click

from common.cli.client import Json
from common.cli.connection import connect_client, watch_job as follow
from common.cli.output import as_json_option, print_json, print_table
from common.states.jobs import JobStatus

LONGEST_PROMPT = 48


@click.group()
def jobs() -> None:
    """List, show, watch, cancel and retry jobs."""


@jobs.command(name="list")
@click.option("--status", type=click.Choice([str(status) for status in JobStatus]), help="Only jobs with this status.")
@click.option("--model", help="Only jobs of this model.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1), help="Maximum number of jobs.")
@as_json_option
def list_(status: str | None, model: str | None, limit: int, as_json: bool) -> None:
    """List the newest jobs."""
    with connect_client() as client:
        found = list(client.jobs(status=status, model=model, limit=limit))
    if as_json:
        print_json(found)
        return
    print_table(["job", "status", "images", "cost", "created", "prompt"], [_build_row(job) for job in found])


@jobs.command()
@click.argument("job_id", metavar="JOB")
@as_json_option
def show(job_id: str, as_json: bool) -> None:
    """Show one job and its images."""
    with connect_client() as client:
        job = client.job(job_id)
    _print_job(job, as_json=as_json)


@jobs.command()
@click.argument("job_id", metavar="JOB")
@as_json_option
def watch(job_id: str, as_json: bool) -> None:
    """Follow a job until it ends, then show it; the exit status is 1 unless it succeeded."""
    with connect_client() as client:
        job = follow(client, client.job(job_id))
    _print_job(job, as_json=as_json)
    if job["status"] != JobStatus.SUCCEEDED:
        sys.exit(1)


@jobs.command()
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@as_json_option
def cancel(job_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel jobs; running jobs stop at the next step."""
    with connect_client() as client:
        found = [client.cancel(job_id) for job_id in job_ids]
    if as_json:
        print_json(found)
        return
    for job in found:
        click.echo(f"Job {job['id']} is {job['status']}.", err=True)


@jobs.command()
@click.argument("job_ids", metavar="JOB...", nargs=-1, required=True)
@as_json_option
def retry(job_ids: tuple[str, ...], as_json: bool) -> None:
    """Create new jobs from ended ones, with the same seeds, and print their ids."""
    with connect_client() as client:
        made = [client.retry(job_id) for job_id in job_ids]
    if as_json:
        print_json(made)
        return
    for job in made:
        click.echo(job["id"])


def _print_job(job: Json, *, as_json: bool) -> None:
    if as_json:
        print_json(job)
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


def _build_row(job: Json) -> list[object]:
    prompt = job["request"]["prompt"]
    short = prompt if len(prompt) <= LONGEST_PROMPT else f"{prompt[: LONGEST_PROMPT - 1]}…"
    cost = f"{job['cost']['amount']} {job['cost']['currency']}"
    return [job["id"], job["status"], len(job["images"]), cost, job["created_at"], short]
