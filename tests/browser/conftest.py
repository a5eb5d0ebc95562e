"""A browser, a stack with the painted model, and a signed-in reader of the console."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.readers import Reader, launch
from tests.functional.backends import Embedded
from tests.functional.stack import Stack, running


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window."""
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A running stack with a painted model, shared by the tests of a file."""
    with running(Embedded()) as started:
        yield started


@pytest.fixture
def sign_in(browser: Browser, stack: Stack) -> Iterator[Callable[..., Reader]]:
    """Sign readers in, each in a browser of their own; what their pages did wrong fails the test."""
    readers: list[Reader] = []

    def start(owner: str = "ada", scopes: tuple[str, ...] | None = None, **looks: object) -> Reader:
        reader = Reader.signed_in(browser, stack, owner, scopes, **looks)
        readers.append(reader)
        return reader

    yield start
    for reader in readers:
        reader.close()
