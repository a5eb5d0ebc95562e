"""Cells that a spreadsheet would run are taken for text, and come back as they were."""

import pytest

from common.campaigns.csv_injection import defuse_cell, restore_cell


@pytest.mark.parametrize(
    "cell", ["=1+1", "a;=1+1", "a\t @sum", "\n=1", "\nplain", "\rplain", "＝1+1", "＠x", "-a", "+1-1"]
)
def test_spreadsheet_formulas_are_defused_and_restored(cell: str) -> None:
    assert defuse_cell(cell) == f"'{cell}"
    assert restore_cell(defuse_cell(cell)) == cell


@pytest.mark.parametrize(
    "cell", ["", "-3.5", "+49", "-1,5", "12", "Ada", "a-b", "a; b", "two\nlines", "'quoted'", "x = 1"]
)
def test_plain_numbers_and_texts_stay(cell: str) -> None:
    assert defuse_cell(cell) == cell
    assert restore_cell(cell) == cell
