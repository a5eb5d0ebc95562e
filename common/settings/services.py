"""Where things are: the data directory, addresses, databases, logs."""

import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, Field, SecretStr

LONGEST_SOCKET_PATH = 100
"""Bytes; Linux allows 107 in ``sockaddr_un.sun_path``, macOS 103."""


class ServiceSettings(BaseModel):
    """Where things are: the data directory, addresses, databases, logs."""

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
    api_url: str | None = Field(None, description="Where the command line finds the api; by default `PUBLIC_URL`.")
    api_key: SecretStr | None = Field(None, description="The key with which the command line signs in.")
    log_level: str = Field("INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$", description="Least level that is logged.")
    log_format: str = Field("auto", pattern=r"^(auto|json|console)$", description="`auto`: console on a terminal.")

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
