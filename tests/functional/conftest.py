"""Stacks that functional tests share: one on the embedded defaults and one on real services, each started once.

Tests that need a stack with settings of its own override ``running_stack``. With ``pytest-xdist``, all tests of a
shared stack run in the same process. PRESSROOM_TEST_BACKEND limits the tests to one backend.
"""

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.functional.backends import Backend, Embedded, Services
from tests.functional.shared_stacks import SHARED
from tests.functional.stack import QUICK, Stack, running
from tests.support.scheduling import BACKENDS

CHOSEN = os.environ.get("PRESSROOM_TEST_BACKEND", "")
NUMBERS = count(1)
SETTINGS = QUICK | {"PRESSROOM_WEBHOOK_ALLOW": "127.0.0.1"}

if CHOSEN and CHOSEN not in BACKENDS:
    raise pytest.UsageError(f"PRESSROOM_TEST_BACKEND must be one of {', '.join(BACKENDS)}, not {CHOSEN}")

collect_ignore = ["test_tls.py"] if CHOSEN == "embedded" else []


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the shared stacks after the last test of their group."""
    SHARED.close_after(item, nextitem)


@pytest.fixture(scope="module", params=[CHOSEN] if CHOSEN else BACKENDS)
def backend_name(request: pytest.FixtureRequest) -> str:
    """The backend under test: each test runs on both."""
    return request.param


@pytest.fixture(scope="module")
def make_backend(backend_name: str, request: pytest.FixtureRequest) -> Callable[[], Backend]:
    """Create a backend for a stack that is not shared."""
    if backend_name == "embedded":
        return Embedded
    server, bucket = request.getfixturevalue("postgresql_server"), request.getfixturevalue("s3")
    return lambda: Services(server, bucket, f"stack{next(NUMBERS)}")


@pytest.fixture(scope="module")
def running_stack(backend_name: str, make_backend: Callable[[], Backend]) -> Stack:
    """The stack that the tests of a module use: the shared one of its backend, unless the module starts its own."""
    return SHARED.open(backend_name, lambda: running(make_backend(), settings=SETTINGS))


@pytest.fixture
def stack(running_stack: Stack) -> Iterator[Stack]:
    """The running stack; after the test, its state is checked against the invariants."""
    yield running_stack
    running_stack.check()
