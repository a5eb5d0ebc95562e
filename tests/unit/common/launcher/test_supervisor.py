"""The supervisor as a process of its own, because it listens to signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]

PROGRAM = """
import os, sys
from common.launcher.child import Child
from common.launcher.supervisor import Supervisor, print_line

def child(name, script, grace_seconds=20):
    command = [sys.executable, "-S", "-u", "-c", script]
    return Child(name, command, environ=os.environ, grace_seconds=grace_seconds, say=print_line)

POLITE = "import signal; signal.signal(15, lambda *_: (print('bye'), exit(0))); print('ready'); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); print('ready'); [signal.pause() for _ in range(99)]"
"""


@contextmanager
def supervising(body: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM + body],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def read_until(process: subprocess.Popen[str], is_enough: Callable[[list[str]], bool]) -> list[str]:
    assert process.stderr is not None
    lines: list[str] = []
    while not is_enough(lines):
        line = process.stderr.readline()
        assert line, f"it ended after {lines}"
        lines.append(line.strip())
    return lines


def test_a_signal_stops_the_children_in_shutdown_order():
    body = """
a, b = child("a", POLITE), child("b", POLITE)
sys.exit(Supervisor([a, b], farewell=[b, a]).run(lambda: None))
"""
    with supervising(body) as process:
        read_until(process, lambda lines: sum("ready" in line for line in lines) == 2)
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 0
    assert [line.split()[0] for line in rest.splitlines() if "bye" in line] == ["b", "a"]


def test_a_child_that_dies_is_restarted():
    body = """
a = child("a", "import os; print('pid', os.getpid()); import signal; signal.pause()")
sys.exit(Supervisor([a], farewell=[a]).run(lambda: None))
"""
    with supervising(body) as process:
        first = read_until(process, lambda lines: any("pid" in line for line in lines))[-1].split()[-1]
        os.kill(int(first), signal.SIGKILL)
        lines = read_until(process, lambda lines: any("pid" in line for line in lines))
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0
    assert "a was terminated by SIGKILL; restarting in 0.5 s" in lines[0]
    assert lines[-1].split()[-1] != first


def test_a_child_that_refuses_its_settings_stops_everything():
    body = """
a, b = child("a", POLITE), child("b", "print('no such model'); raise SystemExit(78)")
sys.exit(Supervisor([a, b], farewell=[b, a]).run(lambda: None))
"""
    with supervising(body) as process:
        _, output = process.communicate(timeout=30)
        assert process.returncode == 78
    assert "no such model" in output


def test_a_second_signal_stops_everything_at_once():
    body = """
a = child("a", STUBBORN, grace_seconds=600)
sys.exit(Supervisor([a], farewell=[a]).run(lambda: None))
"""
    with supervising(body) as process:
        read_until(process, lambda lines: any("ready" in line for line in lines))
        process.terminate()
        time.sleep(0.5)
        assert process.poll() is None
        process.terminate()
        _, rest = process.communicate(timeout=30)
        assert process.returncode == 0
    assert "a did not stop in time and was killed" in rest
