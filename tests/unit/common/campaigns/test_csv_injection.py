"""Cells that a spreadsheet would evaluate become text, and read back as they were."""

import time

import pytest
from hypothesis import given, strategies

from common.campaigns.csv_injection import defuse_cell, restore_cell

FORMULAS = {
    "=1+1": "'=1+1",
    "-a": "'-a",
    "+1-1": "'+1-1",
    "＝1+1": "'＝1+1",
    "＠x": "'＠x",
    "a;=1+1": "a;'=1+1",
    "a\t @sum": "a\t '@sum",
    "a\r=1": "a\r'=1",
    "=1;=2": "'=1;'=2",
    "\n=1": "'\n'=1",
    "\nplain": "'\nplain",
    "\rplain": "'\rplain",
}
"""Cells, and how they stand in a file."""


@pytest.mark.parametrize(("cell", "escaped"), FORMULAS.items())
def test_spreadsheet_formulas_are_defused_and_restored(cell: str, escaped: str) -> None:
    assert defuse_cell(cell) == escaped
    assert restore_cell(escaped) == cell


@pytest.mark.parametrize(
    "cell", ["", "-3.5", "+49", "-1,5", "12", "Ada", "a-b", "a; b", "two\nlines", "'quoted'", "x = 1"]
)
def test_plain_numbers_and_texts_stay(cell: str) -> None:
    assert defuse_cell(cell) == cell
    assert restore_cell(cell) == cell


@given(strategies.text(strategies.sampled_from("a1 =+-@;\t\r\n＝.,"), max_size=12))
def test_every_cell_without_apostrophes_reads_back(cell: str) -> None:
    assert restore_cell(defuse_cell(cell)) == cell


@given(strategies.text(strategies.sampled_from("a1 =+-@;\t\r\n"), max_size=12))
def test_no_part_of_an_escaped_cell_is_a_formula(cell: str) -> None:
    escaped = defuse_cell(cell)
    if escaped != cell:
        parts = escaped.replace("\t", ";").replace("\n", ";").replace("\r", ";").split(";")
        assert not [part for part in parts[1:] if part.lstrip().startswith(("=", "+", "-", "@"))]
        assert not escaped.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


@pytest.mark.parametrize("unit", ["\t", "; ", "=\t", "'\t=", " ", "1", "-"])
def test_the_time_grows_in_line_with_the_length(unit: str) -> None:
    small, large = unit * 2_000, unit * 32_000
    for function in (defuse_cell, restore_cell):
        function(small)
        assert _measure(function, large) < 4 * 16 * _measure(function, small), "a quadratic one takes 256 times as long"


def _measure(function, cell: str) -> float:
    """Return the least CPU seconds of five calls, and at least a millisecond."""
    taken = []
    for _ in range(5):
        began = time.process_time()
        function(cell)
        taken.append(time.process_time() - began)
    return max(min(taken), 0.001)
