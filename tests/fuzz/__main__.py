"""Thousands of odd requests against a live api: ``python -m tests.fuzz [SEED] [EXAMPLES]``; 0 failures allowed.

The server is the real one, gunicorn on SQLite, with a model registered and no press: jobs are taken and wait.
"""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

from api.runtime.cursors import Cursors
from common.access import keys
from common.access.keys import Scope
from common.db import schema
from common.db.engine import Database
from common.images import assets
from common.images.assets import PictureFile
from common.jobs import lifecycle, styles
from common.jobs.attempts import Spent
from common.jobs.request import Mode, SchedulerName
from common.jobs.styles import StyleSpec
from common.models import catalog
from common.models.catalog import AdapterCard, ModelCard
from common.settings import Settings
from common.storage import open_storage
from common.storage.links import LinkSigner, LinkTarget
from tests.fuzz import hooks
from tests.support import factories
from tests.support.servers import processes

ROOT = Path(__file__).resolve().parents[2]
HOOKS = Path(__file__).with_name("hooks.py")
OWNER = "fuzz"
SEED, EXAMPLES = "1", "60"

ADAPTER = AdapterCard(name="ink", title="Ink")

# As wide as the document allows: what depends on a model's card no schema can say.
CARD = ModelCard(
    name=catalog.PAINTED,
    title="Painted",
    family=catalog.Family.PAINTED,
    default_width=64,
    default_height=64,
    default_steps=4,
    default_guidance_scale=5,
    min_size=8,
    max_size=4096,
    size_multiple=8,
    max_steps=1000,
    max_images=100,
    schedulers=list(SchedulerName),
    negative_prompt=True,
    modes=list(Mode),
    adapters=[ADAPTER],
)


def main(seed: str = SEED, examples: str = EXAMPLES) -> int:
    """Start the server, run schemathesis against it, stop it; return the exit status of schemathesis."""
    with processes.own_folder() as folder:
        (port,) = processes.free_ports(1)
        url = f"http://127.0.0.1:{port}"
        key, known = _prepare(folder)
        environ = {
            "PYTHONPATH": str(ROOT),
            "PRESSROOM_HOME": str(folder),
            "PRESSROOM_BIND": f"127.0.0.1:{port}",
            "PRESSROOM_MAX_WAITING": "0",
            "PRESSROOM_MAX_QUEUED_JOBS": "1000000",
            "PRESSROOM_MAX_WEBHOOKS": "1000000",
            "PRESSROOM_MAX_ASSETS": "1000000",
            "PRESSROOM_MAX_KEYS": "1000000",
            "PRESSROOM_MAX_STYLES": "1000000",
            "PRESSROOM_MAX_CAMPAIGNS": "1000000",
            "PRESSROOM_MAX_PIXEL_STEPS": str(4096 * 4096 * 1000 * 100),
            "PRESSROOM_LOG_FORMAT": "json",
        }
        server = [sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"]
        with processes.running(server, folder, lambda: _answers(f"{url}/readyz"), environ=environ):
            return _run(url, key, known, seed, examples, folder)


def _prepare(folder: Path) -> tuple[str, dict[str, str]]:
    """Make a key and a job with an image; return the key, and what no schema can tell: names that lead somewhere."""
    settings = Settings(home=folder)
    storage = open_storage(settings)
    database = Database(settings.sqlalchemy_url)
    try:
        schema.upgrade_schema(database)
        with database.transaction() as session:
            catalog.register_models(session, [CARD])
            key = keys.create_api_key(session, OWNER, scopes=tuple(Scope))
        held = factories.running(database, owner=OWNER)
        with database.transaction() as session:
            (image,) = factories.images(held)
            lifecycle.succeed_job(session, held, [image], Spent())
            style, _ = styles.save_style(session, OWNER, "fuzzed", StyleSpec(steps=4))
            file = LinkTarget(str(image.storage_key), "image/png", "image.png")
        storage.put(file.key, factories.PIXELS, file.content_type)
        init, mask = (
            assets.create_asset(database, storage, OWNER, PictureFile(b"", 8, 8, {}), days=1, most=9) for _ in range(2)
        )
        known = {
            "model": CARD.name,
            "adapter": ADAPTER.name,
            "cursor": Cursors(settings.read_secret()).write(OWNER, held.job_id),
            "asset_cursor": Cursors(settings.read_secret()).write(f"{OWNER}/assets", init.id),
            "image_id": str(image.id),
            "init_image": str(init.id),
            "mask_image": str(mask.id),
            "reference": style.name,
            "style": styles.format_style_reference(style),
            "token": LinkSigner(settings.read_secret(), "").url(*file, 3600).rpartition("/")[2],
        }
        return key, known
    finally:
        database.close()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _run(url: str, key: str, known: dict[str, str], seed: str, examples: str, folder: Path) -> int:
    schemathesis = Path(sys.executable).with_name("schemathesis")
    command = [
        *(str(schemathesis), "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {key}"),
        *("--exclude-operation-id", "follow_job"),  # it answers 503 where nobody may wait, and else for minutes
        *("--checks", "all", "--max-examples", examples, "--seed", seed, "--continue-on-failure"),
        *("--generation-database", "none", "--no-color"),
    ]
    environ = {**os.environ, "SCHEMATHESIS_HOOKS": str(HOOKS), hooks.KNOWN: json.dumps(known), "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environ, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
