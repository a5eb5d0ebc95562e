"""Waiting for something to become true, for as long as a busy machine may need and no longer."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")

PATIENCE_SECONDS = 60
LOOK_SECONDS = 0.03


def until(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Return what *look* returns as soon as it is true; fail if that takes too long."""
    deadline = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"waited {seconds} s in vain for {what}")
        time.sleep(LOOK_SECONDS)
    return seen
