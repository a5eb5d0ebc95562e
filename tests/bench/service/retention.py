"""Retention: images that one clerk erases per second, with their files, fingerprints and audit events.

PostgreSQL and the clerk are processes of their own; the files lie in a directory, or in a bucket of SeaweedFS. Every
image has a file, a thumbnail, a fingerprint and an audit event, and all are overdue when the clerk starts. Version 0.1
erased a hundred a minute.

Usage: ``python -m tests.bench.service.retention [--images 4000] [--storages s3,files]``
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from sqlalchemy import select

from common.access import audit
from common.access.audit import AuditObject, Keyless
from common.clock import utcnow
from common.db import schema
from common.db.engine import Database
from common.db.ids import create_id
from common.images import similarity
from common.images.fingerprint import Fingerprint
from common.settings import Settings
from common.states.audit import Act, ObjectKind
from common.states.jobs import ImageStatus, JobStatus, Verdict
from common.storage import open_storage
from common.storage.keys import build_attempt_prefix
from common.storage.port import Storage
from common.tables import Image, Job
from tests.bench import plots
from tests.bench.outcome import FOLDER, Outcome, Table
from tests.support import factories
from tests.support.servers import services
from tests.support.servers.api_servers import ROOT
from tests.support.servers.processes import own_folder, running

OURS, BEFORE = "one clerk", "one clerk, version 0.1"
BEFORE_PER_SECOND = 100 / 60
CHUNK = 500
FILE, THUMBNAIL = os.urandom(20_000), os.urandom(2_000)
AGE = timedelta(days=2)
PATIENCE_SECONDS = 600


def main(words: list[str] | None = None) -> None:
    """Measure on each storage, print the table, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--storages", default="s3,files")
    parser.add_argument("--out", type=Path, default=FOLDER)
    given = parser.parse_args(words)
    figures = {name: measure_rate(name, given.images) for name in given.storages.split(",")}
    rows = [
        [f"{OURS}, PostgreSQL and {name}", f"{rate:.0f}", f"{rate / BEFORE_PER_SECOND:.0f} ×"]
        for name, rate in figures.items()
    ]
    rows.append([BEFORE, f"{BEFORE_PER_SECOND:.1f}", ""])
    table = Table("Erased by retention", ["", "images/s", "÷ version 0.1"], rows)
    options = {"images": given.images, "storages": given.storages}
    Outcome("retention", options, [table], figures).write(given.out, partial(_draw_rates, figures))


def measure_rate(kind: str, images: int) -> float:
    """Return how many images per second a clerk erases from the first to the last."""
    with ExitStack() as stack:
        folder = stack.enter_context(own_folder())
        environ = {
            "PYTHONPATH": str(ROOT),
            "PRESSROOM_HOME": str(folder),
            "PRESSROOM_IMAGE_DAYS": "1",
            "PRESSROOM_DATABASE_URL": stack.enter_context(services.start_postgresql(durable=True)),
            "PRESSROOM_REDIS_URL": stack.enter_context(services.start_redis()),
        }
        if kind == "s3":
            environ |= stack.enter_context(services.start_s3()).environ
        with _setting_environ(environ):
            settings = Settings.from_environ(environ)
            storage = open_storage(settings)
            database = Database.of(settings)
            stack.callback(database.close)
        schema.upgrade_schema(database)
        _store_images(database, storage, images)
        stack.enter_context(running([sys.executable, "-m", "common.clerk"], folder, lambda: True, environ=environ))
        first, began = _await_fewer_images(database, images)
        left, ended = _await_fewer_images(database, 1)
        return (first - left) / (ended - began)


@contextmanager
def _setting_environ(environ: Mapping[str, str]) -> Iterator[None]:
    """Set the variables from which boto3 learns its credentials, for as long as the storage is opened."""
    before = dict(os.environ)
    os.environ.update({name: value for name, value in environ.items() if name.startswith("AWS_")})
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _store_images(database: Database, storage: Storage, count: int) -> None:
    with ThreadPoolExecutor(8) as pool:
        for first in range(0, count, CHUNK):
            images = [_build_image(number) for number in range(first, min(count, first + CHUNK))]
            with database.transaction() as session:
                factories.lift_guards(session)
                session.add_all(_build_job(image) for image in images)
                session.flush()
                session.add_all(images)
                for image in images:
                    told = AuditObject(ObjectKind.IMAGE, image.id)
                    audit.record_event(session, Keyless(image.owner), Act.IMAGE_RELEASED, told, after={"note": "fine"})
            for key, data in ((image.storage_key, FILE) for image in images):
                pool.submit(storage.put, key or "", data, "image/png")
            for key, data in ((image.thumbnail_key, THUMBNAIL) for image in images):
                pool.submit(storage.put, key or "", data, "image/webp")


def _build_image(number: int) -> Image:
    job_id, owner = create_id(), f"owner-{number % 20}"
    prefix = build_attempt_prefix(owner, job_id, 1)
    image = Image(
        id=create_id(),
        job_id=job_id,
        owner=owner,
        attempt=1,
        position=0,
        status=ImageStatus.DELIVERED,
        seed=number,
        width=64,
        height=64,
        storage_key=f"{prefix}0-image.png",
        thumbnail_key=f"{prefix}0-image-thumbnail.webp",
        verdict=Verdict.PASS,
        safety={},
        gpu_seconds=1.0,
        amount=Decimal(0),
        currency="USD",
        created_at=utcnow() - AGE,
    )
    similarity.store_fingerprint(image, Fingerprint(number, bytes(192)))
    return image


def _build_job(image: Image) -> Job:
    spec = factories.job_spec(image.owner, id=image.job_id)
    ended = {"status": JobStatus.SUCCEEDED, "attempt": 1, "finished_at": utcnow() - AGE}
    return Job(**(spec.to_row(0, utcnow() - AGE) | ended))


def _await_fewer_images(database: Database, than: int) -> tuple[int, float]:
    """Return how many images have files yet, and when, once there are fewer than so many."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    kept = select(Image.id).where(Image.storage_key.is_not(None))
    while time.monotonic() < give_up_at:
        with database.glancing() as session:
            left = len(session.scalars(kept).all())
        if left < than:
            return left, time.monotonic()
        time.sleep(0.02)
    raise TimeoutError(f"{than} images or more were not erased within {PATIENCE_SECONDS} seconds.")


def _draw_rates(figures: Mapping[str, float], path: Path) -> None:
    shown = {f"{OURS}, {name}": rate for name, rate in figures.items()} | {BEFORE: BEFORE_PER_SECOND}
    with plots.sheet(path, 1, "Images erased by retention") as (panel,):
        plots.draw_bars(panel, shown, "images/s", OURS)


if __name__ == "__main__":
    main()
