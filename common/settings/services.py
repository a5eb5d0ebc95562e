"""Settings: data directory, addresses, database, broker, storage and logs."""

import hashlib
import os
import secrets
import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pydantic import BaseModel, Field, SecretStr, field_validator

from common.errors import SettingsError
from common.settings.parsing import PREFIX, CommaSeparated
from common.settings.private_files import read_or_create

SHORTEST_SECRET = 16
"""Characters of a signing secret."""

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 in ``sockaddr_un.sun_path``, macOS 103."""


class ServiceSettings(BaseModel):
    """Settings: data directory, addresses, database, broker, storage and logs."""

    home: Path = Field(Path("var"), description="Data directory of the embedded services.")
    bind: str = Field("127.0.0.1:8000", description="Address and port that the api listens on.")
    trusted_proxies: CommaSeparated = Field(
        (),
        description="Networks of the proxies in front of the api, comma-separated, whose `X-Forwarded-For` is believed."
        " Default: none, so that the client is whoever connects.",
    )
    public_url: str | None = Field(None, description="Base URL of all links in responses. Default: `http://` + `BIND`.")
    secret_key: SecretStr | None = Field(
        None,
        min_length=SHORTEST_SECRET,
        description="Signs links and cursors and encrypts webhook secrets. Default: generated under `HOME`.",
    )
    database_url: SecretStr | None = Field(
        None, description="SQLAlchemy URL of PostgreSQL or SQLite. Default: SQLite under `HOME`."
    )
    database_pooler: Literal["none", "transaction"] = Field(
        "none",
        description="`transaction`: `DATABASE_URL` leads to PgBouncer or another pooler in transaction mode.",
    )
    database_connections: int = Field(
        8, ge=1, description="Maximum number of connections to PostgreSQL that a process keeps open."
    )
    database_extra_connections: int = Field(
        24, ge=0, description="Maximum number of further connections that a busy process opens for a moment."
    )
    redis_url: SecretStr | None = Field(
        None, description="URL of Redis or Valkey. Default: an embedded server under `HOME`."
    )
    storage_url: str | None = Field(
        None, description="Image storage: `file:DIRECTORY` or `s3://BUCKET/PREFIX`. Default: `file:HOME/images`."
    )
    s3_endpoint: str | None = Field(None, description="URL of an S3-compatible server. Default: Amazon S3.")
    s3_public_endpoint: str | None = Field(
        None, description="URL of that server as clients reach it, used in signed links. Default: `S3_ENDPOINT`."
    )
    api_url: str | None = Field(None, description="URL of the api for the command line. Default: `PUBLIC_URL`.")
    api_key: SecretStr | None = Field(None, description="API key of the command line.")
    log_level: str = Field(
        "INFO",
        pattern=r"^(DEBUG|INFO|WARNING|ERROR)$",
        description="Minimum log level.",
    )
    log_format: str = Field(
        "auto",
        pattern=r"^(auto|json|console)$",
        description="`auto`: console on a terminal, else JSON.",
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _check_networks(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            try:
                ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(f"must contain only networks such as 10.1.0.0/16, not {entry!r}") from None
        return entries

    @property
    def base_url(self) -> str:
        """Return the base of all links, without a trailing slash."""
        return (self.public_url or f"http://{self.bind}").rstrip("/")

    @property
    def client_url(self) -> str:
        """Return the URL of the api for the command line, without a trailing slash."""
        return (self.api_url or self.base_url).rstrip("/")

    @property
    def sqlalchemy_url(self) -> str:
        """Return the database URL; SQLite under the data directory by default."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.home.resolve() / 'pressroom.db'}"

    @property
    def is_redis_embedded(self) -> bool:
        """Return whether the launcher must start the message broker."""
        return self.redis_url is None

    @property
    def redis_socket(self) -> Path:
        """Return the path of the embedded broker's Unix socket, short enough for the kernel."""
        home = self.home.resolve()
        path = home / "valkey" / "valkey.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        digest = hashlib.sha256(os.fsencode(home)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"pressroom-{os.getuid()}-{digest}" / "valkey.sock"

    @property
    def broker_url(self) -> str:
        """Return the URL of the message broker, embedded or external, in Celery's format."""
        if self.redis_url is not None:
            return self.redis_url.get_secret_value()
        return f"redis+socket://{quote(str(self.redis_socket))}?virtual_host=0"

    @property
    def images_url(self) -> str:
        """Return the storage URL: ``file:DIRECTORY`` or ``s3://BUCKET/PREFIX``."""
        return self.storage_url or f"file:{self.home.resolve() / 'images'}"

    def read_secret(self) -> bytes:
        """Return the configured signing secret, or the one under the data directory, which is created if missing.

        Raises SettingsError if the file cannot be read, or holds no secret worth the name.
        """
        if self.secret_key is not None:
            return self.secret_key.get_secret_value().encode()
        path = self.home / "secret_key"
        try:
            secret = read_or_create(path, lambda: secrets.token_hex(32).encode()).strip()
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise SettingsError(
                f"The signing secret {path} cannot be read or created: {reason}. Let this user read it and write to "
                f"its directory, or set {PREFIX}SECRET_KEY."
            ) from None
        if len(secret) < SHORTEST_SECRET:
            raise SettingsError(
                f"The signing secret {path} is empty or shorter than {SHORTEST_SECRET} characters, so anybody could "
                "forge links and sign-ins. Restore the file from a backup, or delete it to get a new secret; links, "
                "webhook secrets and quarantined images made with an old one can then not be read any more."
            )
        return secret
