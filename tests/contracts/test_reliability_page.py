"""The page of faults names tests that exist, and every test of a row has its place on it."""

import re
from pathlib import Path

from common import failpoints
from tests.faults.support.rows import AT_EACH_CHANGE, rows_of

PAGE = Path("docs/reliability.md").read_text(encoding="utf-8")
DEFINED = re.compile(r"^(?:async )?def (test_\w+)\(", re.MULTILINE)


def _defined(folder: str) -> set[str]:
    return {name for path in Path(folder).rglob("test_*.py") for name in DEFINED.findall(path.read_text())}


def test_every_test_that_the_page_names_exists() -> None:
    assert set(re.findall(r"`(test_\w+)`", PAGE)) - _defined("tests") == set()


def test_every_row_that_is_tested_is_on_the_page() -> None:
    rows = {name for name in _defined("tests/faults") if re.match(r"test_f?\d\d_", name)}
    assert {name for name in rows if f"`{name}`" not in PAGE} <= {"test_f10_idle_transactions_are_ended"}


def test_the_page_lists_the_kill_points_with_their_places() -> None:
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == list(failpoints.POINTS)


def test_every_row_tested_at_each_change_has_a_test_named_after_it() -> None:
    assert AT_EACH_CHANGE - set().union(*map(rows_of, _defined("tests"))) == set()
