"""Every setting of Pressroom, read once from ``PRESSROOM_*`` variables at the edge of each process."""

import difflib
import hashlib
import os
import re
import secrets
import tempfile
from collections.abc import Mapping
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import quote

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from common import faults
from common.errors import SettingsError

PREFIX = "PRESSROOM_"
EXIT_BAD_SETTINGS = 78
"""Exit status of a process that refuses its settings (``EX_CONFIG`` of sysexits.h)."""

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 in ``sockaddr_un.sun_path``, macOS 103."""

HOST_NAME = re.compile(r"(?![0-9.]+$)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
LARGEST_PORT = 65_535


def _split_commas(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]

SpeedWord = Literal["auto", "none", "channels_last", "fuse_qkv", "compile", "int8", "fp8"]
REWORKED = frozenset({"fuse_qkv", "compile", "int8", "fp8"})
"""Words for speed that change the very layers that an adapter would be laid over."""


class Settings(BaseSettings):
    """The settings of one process; immutable, and every name but these is refused."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    home: Path = Field(Path("var"), description="Data directory of the embedded defaults.")
    bind: str = Field("127.0.0.1:8000", description="Address and port that the api listens on.")
    public_url: str | None = Field(None, description="Base of the links given out; by default `http://` + `BIND`.")
    secret_key: SecretStr | None = Field(
        None,
        min_length=16,
        description="Signs links and cursors, seals webhooks' secrets; made and kept under `HOME` at the first `up`.",
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of PostgreSQL or SQLite; by default SQLite under `HOME`."
    )
    redis_url: SecretStr | None = Field(
        None, description="URL of Redis or Valkey; by default an embedded server under `HOME`."
    )
    storage_url: str | None = Field(
        None, description="`file:DIRECTORY` or `s3://BUCKET/PREFIX`; by default `file:HOME/images`."
    )
    s3_endpoint: str | None = Field(None, description="URL of an S3-compatible server; by default Amazon's.")
    s3_public_endpoint: str | None = Field(
        None, description="The same server as clients reach it, used in signed links; by default `S3_ENDPOINT`."
    )
    models: Listed = Field((), description="Model directories, separated by commas; by default the starter model.")
    default_model: str | None = Field(None, description="Model of a request that names none; by default the first.")
    adapters: Path | None = Field(
        None, description="Directory of the LoRAs on offer, `NAME.safetensors`; by default none."
    )
    gpu_price_per_hour: Decimal = Field(
        Decimal("0.60"), ge=0, description="What one hour of this press's accelerator costs."
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of that price.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$", description="Accelerator of the press.")
    precision: str = Field(
        "auto",
        pattern=r"^(auto|bf16|fp16|fp32)$",
        description="Numbers that models compute in; `auto`: 16 bits on a GPU, 32 on a CPU.",
    )
    speed: Annotated[tuple[SpeedWord, ...], NoDecode, BeforeValidator(_split_commas)] = Field(
        ("auto",),
        description="What is done for speed, separated by commas: `channels_last`, `fuse_qkv`, `compile`, `int8` or"
        " `fp8`; `auto`: what was measured to help on this kind of device; `none`: nothing.",
    )
    max_batch: int = Field(16, ge=1, le=64, description="Pictures that a press may step together at most.")
    model_memory_gb: float | None = Field(
        None, gt=0, description="Memory for models, 10⁹ bytes; by default 70 % of a GPU's, half of the machine's."
    )
    checker: str = Field(
        "open_nsfw",
        pattern=r"^(open_nsfw|scripted)$",
        description="Safety checker; `scripted` passes all and is for tests.",
    )
    safety_review_above: float = Field(0.2, ge=0, le=1, description="Score from which a picture is flagged.")
    safety_block_above: float = Field(0.8, ge=0, le=1, description="Score from which a picture is blocked.")
    lease_seconds: float = Field(60, ge=1, description="How long a press may be silent before its jobs are taken back.")
    beat_seconds: float = Field(1, gt=0, description="How often a press extends its leases and hears of cancels.")
    tick_seconds: float = Field(0.5, gt=0, description="How often the clerk goes round.")
    max_strikes: int = Field(3, ge=1, description="Attempts that may be lost before a job fails with `worker_lost`.")
    step_timeout_seconds: float = Field(
        300, gt=0, description="A denoising step, or a model's load, that takes longer ends the press."
    )
    drain_seconds: float = Field(60, ge=0, description="Time that a stopped press gets to finish the jobs in hand.")
    max_queued_jobs: int = Field(10_000, ge=1, description="Queued jobs per owner; beyond it 429.")
    max_waiting: int = Field(
        16, ge=0, description="Connections per api process that may wait for a job to end, or follow its events."
    )
    max_pixel_steps: int = Field(
        1024 * 1024 * 50 * 10, ge=1, description="Width × height × steps × images that one job may ask for."
    )
    asset_days: int = Field(7, ge=1, description="How long a picture that was handed in is kept.")
    max_asset_bytes: int = Field(
        20_000_000, ge=1024, le=200_000_000, description="Size of a picture's file that may be handed in."
    )
    max_assets: int = Field(1000, ge=1, description="Pictures that are kept per owner; beyond it 429.")
    max_webhooks: int = Field(20, ge=1, description="Webhooks per owner.")
    webhook_allow: Listed = Field(
        (),
        description="Receivers of webhooks that need not be public, nor on https: networks as `10.1.0.0/16` and names"
        " of hosts, separated by commas.",
    )
    webhook_http: bool = Field(False, description="Whether webhooks may go to any `http://` URL too.")
    webhook_ports: Listed = Field(("443", "8443"), description="Ports of receivers that are not in `WEBHOOK_ALLOW`.")
    webhook_threads: int = Field(24, ge=1, le=512, description="Webhooks that a clerk sends at once at most.")
    webhook_days: int = Field(30, ge=4, description="How long messages to webhooks, sent or not, can be looked at.")
    link_seconds: int = Field(900, ge=60, le=604_800, description="How long a link to an image is valid.")
    idempotency_hours: int = Field(24, ge=1, description="How long an `Idempotency-Key` is remembered.")
    api_threads: int = Field(32, ge=2, description="Threads of the api process.")
    log_level: str = Field("INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    log_format: str = Field("auto", pattern=r"^(auto|json|console)$", description="`auto`: console on a terminal.")
    api_url: str | None = Field(None, description="Where the command line finds the api; by default `PUBLIC_URL`.")
    api_key: SecretStr | None = Field(None, description="The key with which the command line signs in.")
    painted_step_seconds: float = Field(0.01, ge=0, description="Length of a step of the painted stand-in model.")
    faults: Listed = Field(
        (),
        description="For tests, and refused unless `MODELS` is `painted`: points at which a process breaks on purpose.",
    )

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.lease_seconds < 3 * self.beat_seconds:
            raise ValueError(f"{PREFIX}LEASE_SECONDS must be at least 3 × {PREFIX}BEAT_SECONDS")
        if self.safety_review_above > self.safety_block_above:
            raise ValueError(f"{PREFIX}SAFETY_REVIEW_ABOVE must not exceed {PREFIX}SAFETY_BLOCK_ABOVE")
        if self.max_waiting >= self.api_threads:
            raise ValueError(f"{PREFIX}MAX_WAITING must be less than {PREFIX}API_THREADS: who waits takes a thread")
        self._check_speed()
        self._check_webhooks()
        self._check_faults()
        return self

    def _check_faults(self) -> None:
        if self.faults and self.models != ("painted",):
            raise ValueError(f"{PREFIX}FAULTS is for tests: it needs {PREFIX}MODELS=painted")
        try:
            faults.parse(self.faults)
        except ValueError as error:
            raise ValueError(f"{PREFIX}FAULTS {error}") from None

    def _check_speed(self) -> None:
        words = set(self.speed)
        if "none" in words and len(words) > 1:
            raise ValueError(f"{PREFIX}SPEED must not name anything beside none")
        if {"int8", "fp8"} <= words:
            raise ValueError(f"{PREFIX}SPEED must name one of int8 and fp8, not both")
        if self.adapters is not None and (reworked := sorted(words & REWORKED)):
            raise ValueError(
                f"{PREFIX}SPEED must not name {', '.join(reworked)} where {PREFIX}ADAPTERS is set:"
                " the layers that adapters are laid over would be changed"
            )

    def _check_webhooks(self) -> None:
        for entry in self.webhook_allow:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                if not HOST_NAME.fullmatch(entry):
                    raise ValueError(f"{PREFIX}WEBHOOK_ALLOW must hold networks and names of hosts only") from None
        if not all(port.isdecimal() and 0 < int(port) <= LARGEST_PORT for port in self.webhook_ports):
            raise ValueError(f"{PREFIX}WEBHOOK_PORTS must hold numbers from 1 to {LARGEST_PORT}")

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read the settings from *environ* (``os.environ``); raise SettingsError, one sentence per fault."""
        known = {PREFIX + name.upper() for name in cls.model_fields}
        for name in environ if environ is not None else os.environ:
            if name.startswith(PREFIX) and name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]}?" if close else ""
                raise SettingsError(f"{name} is not a setting of Pressroom{hint}")
        try:
            if environ is None:
                return cls()
            given = {key.removeprefix(PREFIX).lower(): value for key, value in environ.items() if key in known}
            return cls(**{key: value for key, value in given.items() if value != ""})  # type: ignore[arg-type]  # parsed by pydantic
        except ValidationError as error:
            raise SettingsError("; ".join(_describe(fault) for fault in error.errors(include_input=False))) from None

    @property
    def base_url(self) -> str:
        """Return the base of all links, without a trailing slash."""
        return (self.public_url or f"http://{self.bind}").rstrip("/")

    @property
    def client_url(self) -> str:
        """Return where the command line finds the api, without a trailing slash."""
        return (self.api_url or self.base_url).rstrip("/")

    @property
    def sqlalchemy_url(self) -> str:
        """Return the database's URL; SQLite under the data directory unless one is set."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home.resolve() / 'pressroom.db'}"

    @property
    def is_redis_embedded(self) -> bool:
        """Tell whether our launcher is to start the message broker."""
        return self.redis_url is None

    @property
    def redis_socket(self) -> Path:
        """Return the Unix socket of the embedded broker; short enough for the kernel."""
        home = self.home.resolve()
        path = home / "valkey" / "valkey.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"pressroom-{os.getuid()}-{digest}" / "valkey.sock"

    @property
    def broker_url(self) -> str:
        """Return the URL of the message broker, embedded or not, in the form that Celery reads."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        return f"redis+socket://{quote(str(self.redis_socket))}?virtual_host=0"

    @property
    def images_url(self) -> str:
        """Return where images are stored: ``file:DIRECTORY`` or ``s3://BUCKET/PREFIX``."""
        return self.storage_url or f"file:{self.home.resolve() / 'images'}"

    def read_secret(self) -> bytes:
        """Return the signing secret: the one set, else the one kept under the data directory, made if missing."""
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode()
        path = self.home / "secret_key"
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return path.read_bytes().strip()
        with os.fdopen(descriptor, "wb") as file:
            secret = secrets.token_hex(32).encode()
            file.write(secret)
        return secret


def _describe(fault: Mapping[str, object]) -> str:
    location = fault["loc"]
    name = "".join(f"{PREFIX}{str(part).upper()} " for part in location[:1]) if isinstance(location, tuple) else ""
    message = str(fault["msg"]).removeprefix("Value error, ")
    return f"{name}{message[:1].lower()}{message[1:]}" if name else message
