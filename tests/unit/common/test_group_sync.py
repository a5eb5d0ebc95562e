"""Many commits, one sync: nobody is told of less than is on the disk."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from common.errors import DatabaseUnavailableError
from common.group_sync import GroupSync


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(b"")
    return path


def test_who_has_written_is_told_after_a_sync_that_began_later(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real, lock = os.fsync, threading.Lock()

    def note(descriptor: int) -> None:
        seen = log.stat().st_size
        real(descriptor)
        with lock:
            synced.append(seen)

    monkeypatch.setattr(os, "fsync", note)
    sync = GroupSync(log)

    def write(_number: int) -> bool:
        with lock, log.open("ab") as file:
            file.write(b"x")
            file.flush()
            mine = log.stat().st_size
        sync.wait()
        return max(synced) >= mine

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(write, range(200)))


def test_those_that_wait_together_share_a_sync(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, may_go_on = threading.Event(), threading.Event()
    syncs: list[int] = []

    def stall(descriptor: int) -> None:
        syncs.append(descriptor)
        began.set()
        assert may_go_on.wait(30)

    monkeypatch.setattr(os, "fsync", stall)
    sync = GroupSync(log)
    first = threading.Thread(target=sync.wait)
    first.start()
    assert began.wait(30)
    others = [threading.Thread(target=sync.wait) for _ in range(8)]
    for other in others:
        other.start()
    while len(sync._changed._waiters) < 8:  # type: ignore[attr-defined]
        pass
    may_go_on.set()
    for thread in [first, *others]:
        thread.join()
    assert len(syncs) == 3, "the first one's, its folder's, and one for all others"


def test_a_sync_that_fails_is_nobody_s_success(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    sync = GroupSync(log)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        for _ in range(2):
            with pytest.raises(DatabaseUnavailableError):
                sync.wait()
    sync.wait()


def test_a_log_that_is_gone_has_been_synced_already(tmp_path: Path) -> None:
    GroupSync(tmp_path / "none").wait()
