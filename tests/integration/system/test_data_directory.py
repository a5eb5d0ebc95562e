"""The data directory: created by many processes at once, and closed to other users."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from api.app import create_app
from common.db import schema
from common.db.engine import Database
from common.images import certificates
from common.settings import Settings
from common.settings.private_files import protect_data_directory
from common.storage import open_storage
from tests.support.apis import open_api

PROCESSES, ROUNDS = 24, 15

READ_AT_ONCE = """
import multiprocessing, sys
from pathlib import Path
from common.settings import Settings

def read(barrier, queue, home):
    settings = Settings(home=home)
    barrier.wait()
    queue.put(settings.read_secret())

fork = multiprocessing.get_context("fork")
for number in range(int(sys.argv[3])):
    barrier, queue = fork.Barrier(int(sys.argv[2])), fork.SimpleQueue()
    home = Path(sys.argv[1], str(number))
    readers = [fork.Process(target=read, args=(barrier, queue, home)) for _ in range(int(sys.argv[2]))]
    for reader in readers:
        reader.start()
    print(*{queue.get().decode() for _ in readers})
    for reader in readers:
        reader.join()
"""

CREATE_CHAIN = """
import sys
from pathlib import Path
from common.images.certificates import create_chain
create_chain(Path(sys.argv[1]), "Trial", days=30)
"""


@pytest.fixture(autouse=True)
def _restored_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_processes_that_start_at_once_sign_with_the_same_secret(tmp_path: Path) -> None:
    command = [sys.executable, "-c", READ_AT_ONCE, str(tmp_path), str(PROCESSES), str(ROUNDS)]
    rounds = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [len(secrets.split()) for secrets in rounds] == [1] * ROUNDS
    assert {len(secret) for secret in rounds} == {64}
    assert {path.name for path in tmp_path.glob("*/*")} == {"secret_key"}


def test_certificates_that_are_created_at_once_are_of_one_authority(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CREATE_CHAIN, str(tmp_path)]
    running = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    credentials = certificates.Credentials(tmp_path / certificates.CHAIN, tmp_path / certificates.KEY)
    own, authority = credentials.read_chain()
    own.verify_directly_issued_by(authority)
    assert authority.public_bytes(Encoding.PEM) == (tmp_path / certificates.AUTHORITY).read_bytes()
    key = load_pem_private_key(credentials.read_key(), password=None)
    assert key.public_key() == own.public_key()


def test_migrations_that_start_at_once_all_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "common.cli", "migrate"]
    environ = {**os.environ, "PRESSROOM_HOME": str(tmp_path / "home")}
    running = [subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait() for process in running] == [0] * 3


def test_other_users_can_read_nothing_that_is_created(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new" / "home")
    protect_data_directory(settings.home)
    settings.read_secret()
    database = Database(settings.sqlalchemy_url)
    schema.upgrade_schema(database)
    with database.transaction() as session:
        session.connection().exec_driver_sql("CREATE TABLE scratch (id INTEGER)")
        assert len(list(settings.home.glob("pressroom.db*"))) == 4
    open_storage(settings).put("images/a.png", b"data", "image/png")
    created = [settings.home, *settings.home.rglob("*")]
    assert {path.name: oct(_mode(path)) for path in created if _mode(path) & 0o077} == {}
    database.close()


def test_what_an_earlier_version_left_open_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "images").mkdir(parents=True)
    (home / "pressroom.db-wal").touch(0o644)
    (home / "tool.sh").touch(0o755)
    protect_data_directory(home)
    assert [_mode(home / name) for name in (".", "images", "pressroom.db-wal")] == [0o700, 0o700, 0o600]
    assert _mode(home / "tool.sh") == 0o755  # not one of ours


def test_the_api_closes_the_data_directory_when_it_starts(sqlite_database: Database, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    services = open_api(sqlite_database, home).services
    home.chmod(0o755)
    create_app(services.settings, services=services)
    (home / "new").touch()
    assert (_mode(home), _mode(home / "new")) == (0o700, 0o600)


def test_a_directory_that_all_users_share_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "secret_key").touch(0o644)
    protect_data_directory(tmp_path)
    assert (_mode(tmp_path), _mode(tmp_path / "secret_key")) == (0o1777, 0o600)


def test_a_link_is_not_followed_when_rights_are_taken_away(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch(0o644)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "secret_key").symlink_to(outside)
    protect_data_directory(tmp_path / "home")
    assert _mode(outside) == 0o644
