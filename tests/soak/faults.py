"""What the soak breaks, one thing after another, drawn by a seeded generator; whatever it breaks it mends."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from random import Random

from tests.functional.backends import kill_broker
from tests.functional.stack import LEASE_SECONDS, Stack
from tests.soak import stack
from tests.soak.history import History, InjectedFault
from tests.soak.stack import SoakServers

LEAST_REST_SECONDS, MOST_REST_SECONDS = 1.0, 5.0
LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 0.5, 2.0 * LEASE_SECONDS


class FaultInjector:
    """Injects faults and repairs them; draws are made even without a target, so that a seed is a schedule."""

    def __init__(self, stack: Stack, servers: SoakServers, seed: int, history: History) -> None:
        self._stack = stack
        self._servers = servers
        self._random = Random(seed)
        self._history = history
        self._pause_seconds = 0.0
        self._place = 0.0

    def strike(self) -> None:
        """Break something, mend it, and rest."""
        name = self._random.choice(list(FAULTS))
        self._pause_seconds = self._random.uniform(LEAST_PAUSE_SECONDS, MOST_PAUSE_SECONDS)
        self._place = self._random.random()
        rest = self._random.uniform(LEAST_REST_SECONDS, MOST_REST_SECONDS)
        began = time.time()
        FAULTS[name](self)
        self._history.note_fault(InjectedFault(name, began, time.time()))
        time.sleep(rest)

    def kill_press(self) -> None:
        self._kill("press")

    def kill_clerk(self) -> None:
        self._kill("clerk")

    def kill_api(self) -> None:
        self._kill("api")

    def freeze_press(self) -> None:
        """Stop a press until its lease has run out."""
        presses = stack.find(self._stack, "press")
        if presses:
            press = presses[int(self._place * len(presses))]
            with _stopped(press.pid):
                time.sleep(1.5 * LEASE_SECONDS)

    def kill_broker(self) -> None:
        kill_broker(self._servers, self._stack.settings)

    def flush_broker(self) -> None:
        with self._servers.connect(self._stack.settings) as client:
            client.flushall()

    def pause_broker(self) -> None:
        with _stopped(stack.broker_pid(self._servers, self._stack)):
            time.sleep(self._pause_seconds)

    def pause_database(self) -> None:
        self._servers.postgresql.pause()
        time.sleep(self._pause_seconds)
        self._servers.postgresql.resume()

    def restart_database(self) -> None:
        self._servers.postgresql.end()
        time.sleep(self._pause_seconds / 2)
        self._servers.postgresql.start()

    def pause_storage(self) -> None:
        self._servers.s3.pause()
        time.sleep(self._pause_seconds)
        self._servers.s3.resume()

    def restart_storage(self) -> None:
        self._servers.s3.end()
        time.sleep(self._pause_seconds / 2)
        self._servers.s3.start()

    def _kill(self, part: str) -> None:
        found = stack.find(self._stack, part)
        if found:
            stack.kill(found[int(self._place * len(found))])


FAULTS: dict[str, Callable[[FaultInjector], None]] = {
    "a press is killed": FaultInjector.kill_press,
    "a press stands still past its lease": FaultInjector.freeze_press,
    "the clerk is killed": FaultInjector.kill_clerk,
    "the api is killed": FaultInjector.kill_api,
    "Redis is killed": FaultInjector.kill_broker,
    "Redis is flushed": FaultInjector.flush_broker,
    "Redis stands still": FaultInjector.pause_broker,
    "PostgreSQL stands still": FaultInjector.pause_database,
    "PostgreSQL is restarted": FaultInjector.restart_database,
    "S3 stands still": FaultInjector.pause_storage,
    "S3 is killed": FaultInjector.restart_storage,
}


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it ended all the same
            os.kill(pid, signal.SIGCONT)
