"""Which rows of faults are tried at each change (``make test``), and which now and then (``make chaos``)."""

import re

ROW = re.compile(r"f?\d\d+")

AT_EACH_CHANGE = {
    *(f"f{number:02}" for number in (*range(1, 9), 10, 12, 14, 15, *range(20, 25), *range(27, 30), 34, 36, 38, 40)),
    *(f"f{number}" for number in (45, 46, 47, 48, 49, 50, 51, 53, 54, 57, 59)),
}


def rows_of(test: str) -> set[str]:
    """Return the rows that a test is named after: ``test_f05_f06_…`` is of two."""
    found = set()
    for word in test.removeprefix("test_").split("_"):
        if not ROW.fullmatch(word):
            break
        found.add(word)
    return found


def is_chaos(test: str) -> bool:
    """Tell whether a test waits for ``make chaos``: it is of some row, and none of its rows is tried at each change."""
    rows = rows_of(test)
    return bool(rows) and not rows & AT_EACH_CHANGE
