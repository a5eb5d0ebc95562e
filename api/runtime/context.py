"""The services and in-memory state that views use, passed once when the app is created."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Self, cast
from urllib.parse import urlsplit
from wsgiref.types import WSGIEnvironment

from flask import current_app

from api.runtime.batch_insert import BatchInserter
from api.runtime.cursors import Cursors
from api.runtime.job_watcher import JobWatcher
from api.runtime.key_cache import KeyCache
from api.runtime.long_poll import LongPollSlots
from api.runtime.model_cache import ModelCache
from api.runtime.readiness import ReadinessCheck
from api.web.client_address import ClientAddresses
from api.web.owner_places import OwnerPlaces
from common.db.engine import Database
from common.images.served_files import ServedFiles
from common.jobs.notifier import Notifier
from common.models.prompt_counter import PromptCounter
from common.safety.prompt_rules import PromptRules
from common.settings import Settings
from common.storage.links import LinkSigner
from common.storage.port import ObjectStore
from common.webhooks.signing_secrets import SecretCipher
from common.webhooks.ssrf_guard import SsrfGuard

EXTENSION = "pressroom"


@dataclass(frozen=True)
class Services:
    """The external services: real in ``api.wsgi``, fakes in tests. *links* is set only if the API serves the files."""

    database: Database
    notifier: Notifier
    storage: ObjectStore
    files: ServedFiles
    links: LinkSigner | None
    settings: Settings
    guard: SsrfGuard


@dataclass(frozen=True)
class AppContext(Services):
    """The services and the in-memory state of the API."""

    cursors: Cursors
    waiting_room: LongPollSlots
    upload_places: OwnerPlaces
    download_places: OwnerPlaces
    watcher: JobWatcher
    readiness: ReadinessCheck
    models: ModelCache
    cipher: SecretCipher
    prompt_rules: PromptRules
    prompt_counter: PromptCounter
    inserter: BatchInserter
    keys: KeyCache
    clients: ClientAddresses

    @classmethod
    def of(cls, given: Services) -> Self:
        """Return the context of an app that uses *given*."""
        settings = given.settings
        waiting_room = LongPollSlots(OwnerPlaces.divide(settings.max_waiting, settings.owner_share))
        cipher = SecretCipher(settings.read_secret())
        return cls(
            **vars(given),
            cursors=Cursors(settings.read_secret()),
            waiting_room=waiting_room,
            upload_places=OwnerPlaces.divide(settings.max_uploads, settings.owner_share),
            download_places=OwnerPlaces.divide(settings.max_downloads, settings.owner_share),
            watcher=JobWatcher(given.database, waiting_room.is_closing),
            models=ModelCache(given.database, timedelta(seconds=settings.lease_seconds)),
            readiness=ReadinessCheck(given.database, given.notifier, given.storage),
            prompt_rules=PromptRules.open(settings.prompt_rules),
            prompt_counter=PromptCounter(given.database),
            cipher=cipher,
            keys=KeyCache(given.database),
            clients=ClientAddresses(settings.trusted_proxies),
            inserter=BatchInserter(given.database, given.notifier, cipher, settings),
        )

    @property
    def path_prefix(self) -> str:
        """Return the path prefix of this API; empty unless ``PUBLIC_URL`` has one."""
        return urlsplit(self.settings.base_url).path.rstrip("/")


def find_client_address(environ: WSGIEnvironment) -> str:
    """Return the address of the client of a request to the current app, empty if it is not known."""
    return current_context().clients.find(environ)


def current_context() -> AppContext:
    """Return the context of the current app."""
    return cast("AppContext", current_app.extensions[EXTENSION])
