"""What tests of faults may ask for: a stack without presses on the embedded defaults, and one behind proxies."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from common.db.engine import Database
from tests.faults.support import press_process, rows
from tests.faults.support.press_process import Linked
from tests.functional.backends import Embedded
from tests.functional.shared_stacks import SHARED
from tests.functional.stack import QUICK, Stack, running
from tests.support.press_fixture import PressFixture, open_press_fixture

SETTINGS = QUICK | {"PRESSROOM_WEBHOOK_ALLOW": "127.0.0.1"}
FOLDER = Path(__file__).parent
NUMBERS = count(1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the rarer faults by the test's name."""
    for item in items:
        if FOLDER not in item.path.parents:
            continue
        if rows.is_chaos(item.name.partition("[")[0]):
            item.add_marker(pytest.mark.chaos)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the shared stacks after the last test of their group."""
    SHARED.close_after(item, nextitem)


@pytest.fixture(scope="module")
def _embedded() -> Stack:
    return SHARED.open("stack", lambda: running(Embedded(), presses=0, settings=SETTINGS))


@pytest.fixture(scope="module")
def _linked(postgresql_server: str, s3) -> Stack:
    return SHARED.open("linked", lambda: _run_linked(Linked(postgresql_server, s3, f"linked{next(NUMBERS)}")))


@contextmanager
def _run_linked(backend: Linked) -> Iterator[Stack]:
    with running(backend, presses=0, settings=SETTINGS) as started:
        started.database.close()
        started.database = Database(backend.direct_url)  # who looks on must see while the link is cut
        yield started


@pytest.fixture
def stack(_embedded: Stack) -> Iterator[Stack]:
    """A stack whose presses the test brings; what the test leaves behind is held against the promises."""
    press_process.forget_passes(_embedded)
    yield _embedded
    _embedded.check()


@pytest.fixture
def linked(_linked: Stack) -> Iterator[Stack]:
    """The same on PostgreSQL, Redis and S3, each behind a proxy that the test may turn against it."""
    press_process.forget_passes(_linked)
    yield _linked
    _linked.check()


@pytest.fixture
def links(linked: Stack) -> Iterator[Linked]:
    """The proxies of ``linked``, healed afterwards."""
    assert isinstance(linked.backend, Linked)
    yield linked.backend
    linked.backend.heal()


@pytest.fixture
def press_fixture(database: Database, tmp_path: Path) -> PressFixture:
    """A database, files for storage, and a painted model, for presses in this process."""
    return open_press_fixture(database, tmp_path)


@pytest.fixture
def sqlite_press_fixture(sqlite_database: Database, tmp_path: Path) -> PressFixture:
    """The same on SQLite alone, for what does not depend on the kind."""
    return open_press_fixture(sqlite_database, tmp_path)
