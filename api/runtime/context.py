"""What the views work with, handed in once when the app is made."""

from dataclasses import dataclass
from typing import Self, cast
from urllib.parse import urlsplit

from flask import current_app

from api.runtime.batch_insert import Intake
from api.runtime.cursors import Cursors
from api.runtime.job_watcher import Lookout
from api.runtime.key_cache import Keyring
from api.runtime.long_poll import WaitingRoom
from api.runtime.model_cache import Offer
from api.runtime.readiness import Examination
from common.db.engine import Database
from common.jobs.notifier import Bell
from common.safety.prompt_rules import PromptRules
from common.settings import Settings
from common.storage.links import Links
from common.storage.port import Storage
from common.webhooks.signing_secrets import Sealer
from common.webhooks.ssrf_guard import Guard

EXTENSION = "pressroom"


@dataclass(frozen=True)
class Services:
    """The outside things: real in ``api.wsgi``, stand-ins in tests. *links* only where the api serves the files."""

    database: Database
    bell: Bell
    storage: Storage
    links: Links | None
    settings: Settings
    guard: Guard


@dataclass(frozen=True)
class Context(Services):
    """The services, and what the api itself keeps while it runs."""

    cursors: Cursors
    waiting_room: WaitingRoom
    lookout: Lookout
    examination: Examination
    offer: Offer
    sealer: Sealer
    prompt_rules: PromptRules
    intake: Intake
    keyring: Keyring

    @classmethod
    def of(cls, given: Services) -> Self:
        """Return the context of an app that works with *given*."""
        waiting_room = WaitingRoom(given.settings.max_waiting)
        sealer = Sealer(given.settings.read_secret())
        return cls(
            **vars(given),
            cursors=Cursors(given.settings.read_secret()),
            waiting_room=waiting_room,
            lookout=Lookout(given.database, waiting_room.is_closing),
            offer=Offer(given.database),
            examination=Examination(given.database, given.bell, given.storage),
            prompt_rules=PromptRules.open(given.settings.prompt_rules),
            sealer=sealer,
            keyring=Keyring(given.database),
            intake=Intake(given.database, given.bell, sealer, given.settings),
        )

    @property
    def path_prefix(self) -> str:
        """Return the path under which clients reach this api; empty unless ``PUBLIC_URL`` has one."""
        return urlsplit(self.settings.base_url).path.rstrip("/")


def services() -> Context:
    """Return the context of the app that handles this request."""
    return cast("Context", current_app.extensions[EXTENSION])
