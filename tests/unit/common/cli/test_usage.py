"""The report of usage as a table and as CSV."""

from typing import Any

from common.cli.commands import usage

LINE: dict[str, Any] = dict.fromkeys(usage.FIELDS, 1) | {"waste_gpu_seconds": {"lost": 0.5}}
EUR, USD = {"amount": "0.25", "currency": "EUR"}, {"amount": "3", "currency": "USD"}
REPORT: dict[str, Any] = {
    "group_by": "model",
    "data": [{"group": "sd15", "charged": [EUR, USD]} | LINE],
    "total": {"charged": []} | LINE,
}


def test_csv_has_the_currency_in_a_column_of_its_own_and_no_figure_twice() -> None:
    titles, rows = usage._tabulate_usage(REPORT, as_csv=True)
    assert titles[-2:] == ["charged", "currency"]
    assert [(row[0], row[1], *row[-2:]) for row in rows] == [
        ("sd15", 1, "0.25", "EUR"),
        ("sd15", "", "3", "USD"),
        ("total", 1, "0", ""),
    ]


def test_the_table_has_the_currency_beside_the_amount() -> None:
    titles, rows = usage._tabulate_usage(REPORT, as_csv=False)
    assert (titles[-1], rows[0][-1]) == ("charged", "0.25 EUR + 3 USD")
