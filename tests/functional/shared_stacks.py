"""Running stacks that several test modules share: started at their first use, stopped when their tests are over."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

import pytest

from tests.functional.stack import Stack
from tests.support.scheduling import find_group


class SharedStacks:
    """The stacks that run now, by name."""

    def __init__(self) -> None:
        self._closing = ExitStack()
        self._running: dict[str, Stack] = {}

    def open(self, name: str, start: Callable[[], AbstractContextManager[Stack]]) -> Stack:
        """Return the stack *name*, started by *start* unless it runs already."""
        if name not in self._running:
            self._running[name] = self._closing.enter_context(start())
        return self._running[name]

    def close_after(self, item: pytest.Item, following: pytest.Item | None) -> None:
        """Stop all stacks after the last test, and with ``pytest-xdist`` after the last test of each group.

        An idle stack slows down other processes. Without ``pytest-xdist`` the groups are not kept together.
        """
        is_grouped = hasattr(item.config, "workerinput")
        if following is None or (is_grouped and find_group(following.nodeid) != find_group(item.nodeid)):
            self._running.clear()
            self._closing.close()


SHARED = SharedStacks()
"""Those of this test process."""
