import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.launcher import child as child_module
from common.launcher.child import Child


def await_that(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Heard(list):
    def say(self, name: str, line: str) -> None:
        self.append((name, line))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def make(heard):
    made: list[Child] = []

    def make_child(script: str, grace_seconds: float = 10) -> Child:
        command = [sys.executable, "-S", "-u", "-c", script]
        child = Child("child", command, environ=os.environ, grace_seconds=grace_seconds, say=heard.say)
        made.append(child)
        return child

    yield make_child
    for child in made:
        child.signal(signal.SIGKILL)
        child.wait(10)
        child.collect()


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_output_of_a_child_is_passed_on_line_by_line(make, heard):
    child = make("import sys; print('one'); print('two', file=sys.stderr)")
    child.start()
    await_that(lambda: len(heard) == 2)
    assert sorted(heard) == [("child", "one"), ("child", "two")]


def test_an_exit_is_reported_once_and_schedules_the_restart(make):
    child = make("raise SystemExit(3)")
    assert child.is_due
    child.start()
    await_that(lambda: child.wait(0))
    assert child.collect() == 3
    assert child.collect() is None
    assert not child.is_due
    assert 0 < child.pause_seconds <= child_module.FIRST_PAUSE_SECONDS


def test_the_pause_doubles_with_each_failure_up_to_a_bound(make, monkeypatch):
    monkeypatch.setattr(child_module, "LONGEST_PAUSE_SECONDS", 1.5)
    child = make("")
    pauses = []
    for _ in range(4):
        child.start()
        child.wait(10)
        child.collect()
        pauses.append(child.pause_seconds)
    assert pauses == pytest.approx([0.5, 1.0, 1.5, 1.5], abs=0.1)


def test_a_failure_after_a_healthy_run_counts_as_the_first(make, monkeypatch):
    child = make("")
    for life in (30, 30, 0):
        monkeypatch.setattr(child_module, "HEALTHY_AFTER_SECONDS", life)
        child.start()
        child.wait(10)
        child.collect()
    assert child.pause_seconds == pytest.approx(child_module.FIRST_PAUSE_SECONDS, abs=0.1)


def test_a_child_that_handles_sigterm_ends_by_itself(make, heard):
    child = make("import signal; signal.signal(15, lambda *_: exit(0)); print('ready'); signal.pause()")
    child.start()
    await_that(lambda: bool(heard))
    assert child.stop()
    assert not child.is_running


def test_a_child_that_ignores_sigterm_is_killed_after_its_grace_period(make, heard):
    child = make("import signal; signal.signal(15, signal.SIG_IGN); print('ready'); signal.pause()", grace_seconds=0.2)
    child.start()
    await_that(lambda: bool(heard))
    assert not child.stop()
    assert not child.is_running


def test_an_immediate_stop_does_not_wait_for_the_grace_period(make, heard):
    child = make("import signal; signal.signal(15, signal.SIG_IGN); print('ready'); signal.pause()", grace_seconds=600)
    child.start()
    await_that(lambda: bool(heard))
    assert not child.stop(is_hurried=lambda: True)


def test_processes_started_by_a_child_end_with_it(make, heard):
    child = make(
        "import subprocess, sys\n"
        "left = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(600)'])\n"
        "print(left.pid)"
    )
    child.start()
    child.wait(20)
    await_that(lambda: bool(heard) or bool(child.collect()))
    child.collect()
    await_that(lambda: not is_alive(int(heard[0][1])))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_child_ends_when_its_parent_is_killed(make, heard):
    parent = make(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(child_module.__file__).parents[2])!r})\n"
        "from common.launcher.child import Child\n"
        "command = [sys.executable, '-S', '-c', 'import time; time.sleep(600)']\n"
        "child = Child('grandchild', command, environ=os.environ, grace_seconds=1, say=print)\n"
        "child.start()\n"
        "print(child.pid)\n"
        "signal.pause()\n"
    )
    parent.start()
    await_that(lambda: bool(heard))
    grandchild = int(heard[0][1])
    assert is_alive(grandchild)
    os.kill(parent.pid or 0, signal.SIGKILL)  # the parent alone: its child has a session of its own
    await_that(lambda: not is_alive(grandchild))
