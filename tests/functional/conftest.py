"""Every functional test runs on the embedded defaults and on real services; PRESSROOM_TEST_BACKEND chooses one."""

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.functional.backends import Backend, Embedded, Services
from tests.functional.stack import Stack, running

BACKENDS = ("embedded", "services")
CHOSEN = os.environ.get("PRESSROOM_TEST_BACKEND", "")
NUMBERS = count(1)

if CHOSEN and CHOSEN not in BACKENDS:
    raise pytest.UsageError(f"PRESSROOM_TEST_BACKEND must be one of {', '.join(BACKENDS)}, not {CHOSEN}")

collect_ignore = ["test_tls.py"] if CHOSEN == "embedded" else []


@pytest.fixture(scope="module", params=[CHOSEN] if CHOSEN else BACKENDS)
def make_backend(request: pytest.FixtureRequest) -> Callable[[], Backend]:
    """Make what one stack stands on."""
    if request.param == "embedded":
        return Embedded
    server, bucket = request.getfixturevalue("postgresql_server"), request.getfixturevalue("s3")
    return lambda: Services(server, bucket, f"stack{next(NUMBERS)}")


@pytest.fixture(scope="module")
def stack_of_module(make_backend: Callable[[], Backend], request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack that the tests of one file share, with as many presses as the file's PRESSES says."""
    with running(make_backend(), presses=getattr(request.module, "PRESSES", 1)) as started:
        yield started


@pytest.fixture
def stack(stack_of_module: Stack) -> Iterator[Stack]:
    """The running stack; what the test leaves behind is held against the promises."""
    yield stack_of_module
    stack_of_module.check()
