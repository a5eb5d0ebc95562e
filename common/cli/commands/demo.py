"""``pressroom demo``: ten jobs and a campaign on this machine, without any configuration."""

import os
import sys
import time
from datetime import datetime
from pathlib import Path

import click

from common.access import keys
from common.cli.campaign_client import CampaignClient
from common.cli.client import Client, Json
from common.cli.connection import EXTENSIONS
from common.cli.demo.campaign import PEOPLE, print_campaign
from common.cli.demo.temporary_stack import run_temporary_stack
from common.cli.output import print_table
from common.db.engine import Database
from common.images.contact_sheet import Tile, draw_contact_sheet
from common.settings import Settings
from common.settings.private_files import protect_data_directory
from common.states.jobs import JobStatus

PROMPTS = (
    "a fox on a red background",
    "a birthday cake on a teal background",
    "a penguin on a yellow background",
    "a sunflower on a blue background",
    "a guitar on a cream background",
    "an octopus on a navy background",
    "a hamburger on a green background",
    "an owl on a purple background",
    "a cactus on a pink background",
    "a soccer ball on an orange background",
)
FIRST_SEED = 1
CONTACT_SHEET = "contact-sheet.png"


@click.command()
def demo() -> None:
    """Run a temporary stack, generate ten images and a campaign of 24, draw contact sheets, and stop the stack.

    All files are saved in the folder `demo` of the data directory.
    """
    settings = Settings.from_environ()
    protect_data_directory(settings.home)
    started = time.monotonic()
    folder = settings.home / "demo"
    stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"  # two may start in the same second
    pictures = folder / f"pictures-{stamp}"
    click.echo("Starting the stack: api, press, clerk, message broker …", err=True)
    with run_temporary_stack(folder / f"stack-{stamp}", os.environ) as stage:
        with CampaignClient(stage.client_url, _create_key(stage)) as client:
            jobs = _print_pictures(client)
            files = _save_pictures(client, jobs, pictures)
            is_whole = print_campaign(client, pictures / "campaign")
        click.echo("Stopping the stack …", err=True)
    _print_report(jobs, files, pictures)
    seconds = time.monotonic() - started
    click.echo(f"\n{len(jobs)} jobs and a campaign for {len(PEOPLE)} in {seconds:.0f} s, including start and stop.")
    if not is_whole or any(job["status"] != JobStatus.SUCCEEDED for job in jobs):
        raise click.ClickException("Some images were not generated.")


def _create_key(settings: Settings) -> str:
    database = Database.of(settings)
    try:
        with database.transaction() as session:
            return keys.create_api_key(session, "demo")
    finally:
        database.close()


def _print_pictures(client: Client) -> list[Json]:
    bodies = [{"prompt": prompt, "seed": FIRST_SEED + number} for number, prompt in enumerate(PROMPTS)]
    jobs = [client.submit(body) for body in bodies]
    with click.progressbar(
        length=sum(job["progress"]["steps"] for job in jobs), file=sys.stderr, label=f"Generating {len(jobs)} images"
    ) as bar:
        done: list[Json] = []
        for job in jobs:
            before = sum(ended["progress"]["steps"] for ended in done)

            def show(now: Json, before: int = before) -> None:
                bar.update(before + now["progress"]["step"] - bar.pos)

            done.append(client.wait(job["id"], show))
        bar.update((bar.length or 0) - bar.pos)
    return done


def _save_pictures(client: Client, jobs: list[Json], pictures: Path) -> dict[str, Path]:
    """Save each image and a contact sheet; return the files by image id."""
    pictures.mkdir(parents=True)
    files: dict[str, Path] = {}
    prints = []
    for number, job in enumerate(jobs, start=1):
        for image in job["images"]:
            if image["url"] is None:
                continue
            data = client.download(image)
            file = pictures / f"{number:02}-seed-{image['seed']}.{EXTENSIONS[image['content_type']]}"
            file.write_bytes(data)
            files[image["id"]] = file
            note = f"seed {image['seed']}, {image['cost']['gpu_seconds']:.2f} accelerator seconds"
            prints.append(Tile(data, job["request"]["prompt"], note))
    if prints:
        sheet = draw_contact_sheet(prints, "Pressroom: first images", model=jobs[0]["request"]["model"])
        (pictures / CONTACT_SHEET).write_bytes(sheet)
    return files


def _print_report(jobs: list[Json], files: dict[str, Path], pictures: Path) -> None:
    rows = [row for job in jobs for row in _build_rows(job, files)]
    click.echo()
    print_table(["job", "seed", "seconds", "accelerator s", "cost", "safety score", "file"], rows)
    spent = sum(job["cost"]["gpu_seconds"] for job in jobs)
    click.echo(f"\n{spent:.2f} accelerator seconds in total. Contact sheet: {pictures / CONTACT_SHEET}")


def _build_rows(job: Json, files: dict[str, Path]) -> list[list[object]]:
    seconds = f"{_compute_seconds(job):.2f}" if job["started_at"] and job["finished_at"] else None
    return [
        [
            job["id"],
            image["seed"],
            seconds,
            f"{image['cost']['gpu_seconds']:.2f}",
            f"{image['cost']['amount']} {image['cost']['currency']}",
            f"{max(image['safety']['scores'].values(), default=0):.3f} {image['safety']['verdict']}",
            files.get(image["id"], image["status"]),
        ]
        for image in job["images"]
    ] or [[job["id"], job["request"]["seed"], seconds, None, None, None, job["status"]]]


def _compute_seconds(job: Json) -> float:
    return (datetime.fromisoformat(job["finished_at"]) - datetime.fromisoformat(job["started_at"])).total_seconds()
