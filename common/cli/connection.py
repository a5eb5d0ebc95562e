"""Shared by commands that call the API: connect, follow a job and save its images."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import click

from common.cli.client import Client, Json
from common.errors import SettingsError
from common.settings import PREFIX, Settings
from common.states.jobs import JobStatus

C = TypeVar("C", bound=Client)
EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp"}


def connect_client() -> Client:
    """Return a client for the API URL and key in the settings."""
    return connect_client_as(Client)


def connect_client_as(kind: type[C]) -> C:
    """Return a client of the class *kind*."""
    settings = Settings.from_environ()
    if settings.api_key is None:
        raise SettingsError(f"{PREFIX}API_KEY is not set. Create a key with `pressroom keys create --name me`.")
    return kind(settings.client_url, settings.api_key.get_secret_value())


def watch_job(client: Client, job: Json) -> Json:
    """Show a job's progress on standard error until it ends; return the ended job."""
    with click.progressbar(length=job["progress"]["steps"] or 1, file=sys.stderr, label="queued") as bar:

        def show(now: Json) -> None:
            bar.label = _format_label(now)
            is_done = now["status"] == JobStatus.SUCCEEDED
            bar.update((bar.length or 1) - bar.pos if is_done else now["progress"]["step"] - bar.pos)
            bar.render_progress()

        return client.wait(job["id"], show)


def save_images(client: Client, job: Json, directory: Path) -> list[Path]:
    """Save the job's readable images in *directory*; return the files."""
    directory.mkdir(parents=True, exist_ok=True)
    files = []
    for image in job["images"]:
        if image["url"] is not None:
            file = directory / f"{job['id']}-{image['index']}.{EXTENSIONS[image['content_type']]}"
            file.write_bytes(client.download(image))
            files.append(file)
    return files


def _format_label(job: Mapping[str, object]) -> str:
    position = job["queue_position"]
    return f"queued, {position} ahead" if position else str(job["status"])
