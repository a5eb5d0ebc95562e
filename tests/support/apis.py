"""An api in this process, with a recording notifier, files in a directory, and a client with a key."""

import warnings
import weakref
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

from flask.testing import FlaskClient
from flask_openapi import OpenAPI
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from api.app import create_app
from api.console import setup
from api.runtime.context import EXTENSION, AppContext, Services
from common.access import keys
from common.access.keys import Scope
from common.db.engine import Database
from common.images.served_files import ServedFiles
from common.jobs import lifecycle
from common.jobs.attempts import Spent
from common.jobs.notifier import RecordingNotifier
from common.models import catalog
from common.settings import Settings
from common.states.jobs import ImageStatus
from common.storage import open_storage
from common.storage.files import FileStorage
from common.tables import Image, Job
from common.webhooks.public_addresses import HostResolver
from common.webhooks.ssrf_guard import SsrfGuard, SsrfRules
from common.webhooks.urls import Address
from tests.support import factories
from tests.support.factories import PIXELS

_idle: list[OpenAPI] = []
"""Apps that no test holds any more: to make one takes longer than most tests of it."""


@dataclass
class Api:
    """The app, its services, and its client with its default key."""

    app: OpenAPI
    services: Services
    notifier: RecordingNotifier
    storage: FileStorage
    key: str
    client: FlaskClient = field(init=False)

    def __post_init__(self) -> None:
        self.client = self.app.test_client()

    @property
    def database(self) -> Database:
        return self.services.database

    def call(self, method: str, path: str, *, key: str | None = "", **options: Any) -> TestResponse:
        """Send a request with the owner's key, with *key*, or, if that is None, without one."""
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {key or self.key}")
        return self.client.open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        return self.call("POST", path, **options)

    def make_key(self, owner: str, scopes: tuple[Scope, ...] = keys.TENANT_SCOPES) -> str:
        with self.database.transaction() as session:
            return keys.create_api_key(session, owner, scopes=scopes)

    def make_job(self, **fields: Any) -> dict[str, Any]:
        """Ask for a job and return it."""
        answer = self.post("/v1/jobs", json={"prompt": "a lighthouse"} | fields)
        assert answer.status_code == 202, answer.text
        return answer.json

    def count_jobs(self) -> int:
        with self.database.reading() as session:
            return session.scalar(select(func.count()).select_from(Job)) or 0

    def print_job(
        self, owner: str = "ada", status: ImageStatus = ImageStatus.DELIVERED, **changes: Any
    ) -> tuple[UUID, list[Image]]:
        """Queue a job, have it done, and return it with its images, whose files lie in storage."""
        held = factories.running(self.database, owner=owner, **changes)
        images = factories.images(held, status)
        spent = Spent(gpu_seconds=1.5, phases={"denoise": 1.5})
        with self.database.transaction() as session:
            end = lifecycle.block_job if status is ImageStatus.BLOCKED else lifecycle.succeed_job
            end(session, held, images, spent)
        for image in images:
            if image.storage_key:
                self.storage.put(image.storage_key, PIXELS, "image/png")
        return held.job_id, images


def resolve_publicly(host: str, port: int, seconds: float) -> list[Address]:
    """Resolve every name to an address on the public internet."""
    return [ip_address("93.184.215.14")]


def open_api(
    database: Database, folder: Path, *, notifier: Any = None, resolve: HostResolver = resolve_publicly, **changes: Any
) -> Api:
    """Return an api on *database* that offers the painted model, and a key of the owner ada."""
    settings = Settings(home=folder, **changes)
    storage = open_storage(settings)
    assert isinstance(storage, FileStorage)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a stand-in says what it is
        recording = RecordingNotifier()
    guard = SsrfGuard(SsrfRules.of(settings), resolve_host=resolve, is_own=lambda address: False)
    services = Services(
        database,
        notifier or recording,
        storage,
        ServedFiles(storage, settings.read_secret()),
        storage.links,
        settings,
        guard,
    )
    with database.transaction() as session:
        catalog.register_models(session, [catalog.PAINTED_CARD])
        key = keys.create_api_key(session, "ada")
    made = Api(_equip(services), services, recording, storage, key)
    weakref.finalize(made, _idle.append, made.app)
    return made


def _equip(services: Services) -> OpenAPI:
    """Return an app that works with *services*, an idle one if there is any."""
    if not _idle:
        return create_app(services.settings, services=services)
    app = _idle.pop()
    app.extensions[EXTENSION] = AppContext.of(services)
    setup.attach_console_state(app)
    return app
