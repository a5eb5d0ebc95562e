"""What a stack stands on: the embedded defaults, or PostgreSQL, Redis and S3 (with or without TLS)."""

import os
import signal
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from common.settings import Settings
from tests.support.servers import services
from tests.support.servers.services import Bucket


class Backend(Protocol):
    """What a stack stands on."""

    @property
    def environ(self) -> dict[str, str]:
        """Return the settings that name it."""

    @property
    def secrets(self) -> list[str]:
        """Return what must never be written down anywhere."""

    @property
    def authority(self) -> Path | None:
        """Return the certificate that its TLS is to be checked against."""

    def connect(self, settings: Settings) -> redis.Redis:
        """Return a client of the broker."""

    def revive_broker(self) -> None:
        """Start the broker again after its death, as whoever operates it would."""

    def close(self) -> None:
        """Stop what belongs to this stack alone."""


@dataclass
class Embedded:
    """SQLite, the launcher's own broker, and files: nothing but Python."""

    environ: dict[str, str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    authority: Path | None = None

    def connect(self, settings: Settings) -> redis.Redis:
        return redis.Redis(unix_socket_path=str(settings.redis_socket), retry=Retry(NoBackoff(), 0))

    def revive_broker(self) -> None:
        """Leave it to the launcher."""

    def close(self) -> None:
        """Leave it to the launcher."""


class Services:
    """PostgreSQL, a Redis that keeps nothing, and a real S3 server."""

    def __init__(self, postgresql_server: str, bucket: Bucket, name: str) -> None:
        self._redis = ExitStack()
        self._redis_url = self._redis.enter_context(services.start_redis())
        self.authority = bucket.authority
        database_url = services.create_database(postgresql_server, name)
        self.environ = {
            "PRESSROOM_DATABASE_URL": database_url,
            "PRESSROOM_REDIS_URL": self._redis_url,
            **bucket.environ,
            "PRESSROOM_STORAGE_URL": f"s3://{bucket.name}/{name}",
        }
        passwords = [services.sqlalchemy.make_url(database_url).password, urlsplit(self._redis_url).password]
        self.secrets = [bucket.secret_key, *(str(password) for password in passwords)]

    def connect(self, settings: Settings) -> redis.Redis:
        return redis.Redis.from_url(self._redis_url, retry=Retry(NoBackoff(), 0))

    def revive_broker(self) -> None:
        self._redis.close()
        parts = urlsplit(self._redis_url)
        self._redis.enter_context(services.start_redis(parts.port, parts.password))

    def close(self) -> None:
        self._redis.close()


def kill_broker(backend: Backend, settings: Settings) -> None:
    """End the broker with SIGKILL, and have it started again."""
    with backend.connect(settings) as client:
        pid = client.info("server")["process_id"]
    os.kill(pid, signal.SIGKILL)
    backend.revive_broker()
