"""All code that reads users' text takes time in proportion to its length, however it is made up.

Each text is tried in a short length and in sixteen times that, and its processor time compared. Quadratic code would
take 256 times as long; what takes next to no time even for the long text is not compared.
"""

import contextlib
import re
import time
from collections.abc import Callable

import pytest

from common.errors import PressroomError
from tests.contracts import text_readers
from tests.contracts.text_readers import FAMILIES, PARSERS

SHORT = 1000
TIMES = 16
MOST_GROWTH = 4 * TIMES
NEXT_TO_NOTHING = 0.04
"""Seconds; what is quadratic takes far longer for 16,000 characters, or will not matter."""
TRIES = 5
EXPRESSIONS = dict(text_readers.list_expressions())


def measure_time(read: Callable[[str], object], text: str) -> float:
    """Return the least processor time of a few tries, of only one if that took next to none."""
    least = float("inf")
    for _ in range(TRIES):
        begun = time.thread_time()
        with contextlib.suppress(PressroomError, ValueError):
            read(text)
        least = min(least, time.thread_time() - begun)
        if least < NEXT_TO_NOTHING:
            break
    return least


def find_growth(read: Callable[[str], object], family: str, end: str) -> float | None:
    """Return how much longer the longer text takes, or None if that is next to nothing."""
    short, long = ((family * (length // len(family) + 1))[:length] + end for length in (SHORT, SHORT * TIMES))
    taken = measure_time(read, long)
    if taken < NEXT_TO_NOTHING:
        return None
    return taken / max(min(measure_time(read, short) for _ in range(TRIES)), 1e-6)


def check_growth(read: Callable[[str], object]) -> None:
    slow = {}
    for family in FAMILIES:
        for end in ("", "\x01"):
            growth = find_growth(read, family, end)
            if growth is not None and growth > MOST_GROWTH:
                slow[family + end] = round(growth)
    assert slow == {}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_a_regular_expression_takes_linear_time(name: str) -> None:
    check_growth(EXPRESSIONS[name])


@pytest.mark.parametrize("name", PARSERS)
def test_a_parser_takes_linear_time(name: str) -> None:
    check_growth(PARSERS[name])


def test_quadratic_code_is_found() -> None:
    growth = find_growth(re.compile(r"\{\{.*?\}\}", re.DOTALL).findall, "{{", "")
    assert growth is not None
    assert growth > MOST_GROWTH


def test_every_regular_expression_is_named_so_that_it_is_tried() -> None:
    assert text_readers.list_inline_expressions() == []
    assert len(EXPRESSIONS) > 30


def test_every_module_that_parses_text_is_tried_or_excused() -> None:
    assert text_readers.list_parsing_modules() == set(text_readers.MODULES_THAT_PARSE)
    excuses = {text_readers.NOT_USERS, text_readers.BOUNDED, text_readers.SANDBOXED}
    assert set(text_readers.MODULES_THAT_PARSE.values()) - excuses <= set(PARSERS)
