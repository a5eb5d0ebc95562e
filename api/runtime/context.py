"""The services and in-memory state that views use, passed once when the app is created."""

from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from flask import current_app

from api.runtime.batch_insert import BatchInserter
from api.runtime.cursors import Cursors
from api.runtime.job_watcher import JobWatcher
from api.runtime.key_cache import KeyCache
from api.runtime.long_poll import LongPollSlots
from api.runtime.model_cache import ModelCache
from api.runtime.readiness import ReadinessCheck
from common.db.engine import Database
from common.jobs.notifier import Notifier
from common.safety.prompt_rules import PromptRules
from common.settings import Settings
from common.storage.links import LinkSigner
from common.storage.port import Storage
from common.webhooks.signing_secrets import SecretCipher
from common.webhooks.ssrf_guard import SsrfGuard

EXTENSION = "pressroom"


@dataclass(frozen=True)
class Services:
    """The external services: real in ``api.wsgi``, fakes in tests. *links* is set only if the API serves the files."""

    database: Database
    bell: Notifier
    storage: Storage
    links: LinkSigner | None
    settings: Settings
    guard: SsrfGuard


@dataclass(frozen=True)
class AppContext(Services):
    """The services and the in-memory state of the API."""

    cursors: Cursors
    waiting_room: LongPollSlots
    lookout: JobWatcher
    examination: ReadinessCheck
    offer: ModelCache
    sealer: SecretCipher
    prompt_rules: PromptRules
    intake: BatchInserter
    keyring: KeyCache

    @classmethod
    def of(cls, given: Services) -> Self:
        """Return the context of an app that uses *given*."""
        waiting_room = LongPollSlots(given.settings.max_waiting)
        sealer = SecretCipher(given.settings.read_secret())
        return cls(
            **vars(given),
            cursors=Cursors(given.settings.read_secret()),
            waiting_room=waiting_room,
            lookout=JobWatcher(given.database, waiting_room.is_closing),
            offer=ModelCache(given.database),
            examination=ReadinessCheck(given.database, given.bell, given.storage),
            prompt_rules=PromptRules.open(given.settings.prompt_rules),
            sealer=sealer,
            keyring=KeyCache(given.database),
            intake=BatchInserter(given.database, given.bell, sealer, given.settings),
        )

    @property
    def path_prefix(self) -> str:
        """Return the path prefix of this API; empty unless ``PUBLIC_URL`` has one."""
        return urlsplit(self.settings.base_url).path.rstrip("/")


def current_context() -> AppContext:
    """Return the context of the current app."""
    return cast("AppContext", current_app.extensions[EXTENSION])
