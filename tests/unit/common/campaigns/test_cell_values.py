"""Numbers and dates as spreadsheets show them."""

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given, strategies

from common.campaigns.cell_values import UnreadableCellError, read_date, read_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1234.5", "1234.5"),
        ("-7", "-7"),
        ("+7", "7"),
        (" 12 ", "12"),
        ("1.234", "1.234"),
        ("007", "7"),
        ("19.90 €", "19.90"),
        ("€19.90", "19.90"),
        ("$ 1,234.50", "1234.50"),
        ("-$5.00", "-5.00"),
        ("EUR 19.90", "19.90"),
        ("19,90 CHF", "19.90"),
        ("25%", "25"),
        ("12,5 %", "12.5"),
        ("($1,234.50)", "-1234.50"),
        ("\u22125", "-5"),
        ("19,90", "19.90"),
        ("1,5", "1.5"),
        ("0,123", "0.123"),
        ("1234,567", "1234.567"),
        ("1.234,56 €", "1234.56"),
        ("1,234,567", "1234567"),
        ("1.234.567", "1234567"),
        ("1.234.567,8", "1234567.8"),
        ("1,234,567.8", "1234567.8"),
        ("1 234,56", "1234.56"),
        ("1\u00a0234\u00a0567", "1234567"),
        ("1\u202f234,5", "1234.5"),
        ("1'234.50", "1234.50"),
        ("1\u2019234", "1234"),
    ],
)
def test_a_number_is_read_as_spreadsheets_show_it(text: str, number: str) -> None:
    assert read_number(text) == Decimal(number)


@pytest.mark.parametrize("text", ["1,234", "-1,234", "12,345 €", "999,000"])
def test_a_number_that_may_be_two_is_refused_with_both(text: str) -> None:
    with pytest.raises(UnreadableCellError, match=r"it may be \d+ or \d+\.\d+; write it as one of them"):
        read_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "1,2,3",
        "1.2.3",
        "12,34,567",
        "1.234,56.7",
        "1 2",
        "--1",
        "1e5",
        "1_000",
        "\u0661",
        "9" * 100,
        "1-2",
        "()",
    ],
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(UnreadableCellError, match=r"such as 1234\.5 or 19,90"):
        read_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-05-01",
        "2026/5/1",
        "2026.05.01",
        "1.5.2026",
        "01.05.2026",
        "1. 5. 2026",
        "01.05.26",
        "1-May-26",
        "1-May-2026",
        "1. May 2026",
        "1 May 2026",
        "1st May 2026",
        "May 1, 2026",
        "May 1st, 2026",
        "may 1 2026",
        "1 MAY 2026",
        "Friday, May 1, 2026",
        "Fri, 1 May 2026",
        "2026-05-01T00:00:00Z",
        "2026-05-01 00:00",
        "1-May-26 12:00 AM",
    ],
)
def test_a_date_is_read_as_spreadsheets_show_it(text: str) -> None:
    assert str(read_date(text)) == "2026-05-01 00:00:00"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("5/13/2026", "2026-05-13 00:00:00"),
        ("13/5/2026", "2026-05-13 00:00:00"),
        ("13-05-2026", "2026-05-13 00:00:00"),
        ("5/5/2026", "2026-05-05 00:00:00"),
        ("5/13/2026 6:05 PM", "2026-05-13 18:05:00"),
        ("3 Sept 1999", "1999-09-03 00:00:00"),
        ("1.2.29", "2029-02-01 00:00:00"),
        ("1.2.30", "1930-02-01 00:00:00"),
        ("1.5.2026 18:05:09", "2026-05-01 18:05:09"),
    ],
)
def test_what_can_be_one_day_only_is_that_day(text: str, moment: str) -> None:
    assert str(read_date(text)) == moment


@pytest.mark.parametrize(
    ("text", "either"),
    [
        ("5/1/2026", "5 January 2026 or 1 May 2026"),
        ("05-01-2026", "5 January 2026 or 1 May 2026"),
        ("5/1/26", "5 January 2026 or 1 May 2026"),
    ],
)
def test_a_date_that_may_be_two_is_refused_with_both(text: str, either: str) -> None:
    with pytest.raises(UnreadableCellError, match=f"it may be {either}; write it as 2026-05-01"):
        read_date(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-02-30",
        "2026-05-01 late",
        "13/13/2026",
        "1 Mai 2026",
        "May 2026",
        "46143",
        "1 May",
        "2026-5",
        "5/1/20266",
        "2026-05-01 25:00",
        "1 May 2026 13:00 PM",
        "1 May 2026" + " " * 99 + "x",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(UnreadableCellError, match="as a date"):
        read_date(text)


@given(strategies.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    for read in (read_number, read_date):
        with suppress(UnreadableCellError):
            read(text)
