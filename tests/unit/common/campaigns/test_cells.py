"""Cells of workbooks as Excel shows them."""

import datetime as dt
import io
from decimal import Decimal

import pytest

from common.campaigns.recipients.formats import detect
from common.campaigns.recipients.formats.detect import Format
from common.campaigns.recipients.formats.xlsx.cells import format_cell
from common.campaigns.recipients.formats.xlsx.date_formats import format_date
from common.campaigns.recipients.formats.xlsx.number_formats import format_number
from tests.support.campaigns.workbooks import Styled, workbook


@pytest.mark.parametrize(
    ("value", "code", "shown"),
    [
        ("7", "0", "7"),
        ("7", "00000", "00007"),
        ("1234.5", "0.00", "1234.50"),
        ("2.675", "0.00", "2.68"),
        ("0.25", "0%", "25%"),
        ("0.1234", "0.0%", "12.3%"),
        ("1234567.891", "#,##0.00", "1,234,567.89"),
        ("12", "#,##0", "12"),
        ("0", "#", ""),
        ("0.5", ".00", ".50"),
        ("1234567", "#,##0,", "1,235"),
        ("19.9", '"€" #,##0.00', "€ 19.90"),
        ("19.9", "#,##0.00\\ [$€-407]", "19.90 €"),
        ("19.9", '_-* #,##0.00\\ "€"_-', " 19.90 € "),
        ("-19.9", "#,##0.00;[Red](#,##0.00)", "(19.90)"),
        ("-19.9", "0.00", "-19.90"),
        ("-0.001", "0.00", "0.00"),
        ("0", '0;-0;"none"', "none"),
        ("491701234567", "+#", "+491701234567"),
        ("123456789", "000-00-0000", "123-45-6789"),
        ("5551234567", "(000) 000-0000", "(555) 123-4567"),
        ("1.5", "0.##", "1.5"),
        ("1.5", "General", "1.5"),
        ("3.3000000000000003", "0.0000000000000000", "3.3000000000000000"),
        ("12", 'General" pcs"', None),
        ("1.5", "# ?/?", None),
        ("1.5", "0.00E+00", None),
        ("1.5", "[>1]0;0.0", None),
    ],
)
def test_numbers_are_shown_as_their_format_says(value: str, code: str, shown: str | None) -> None:
    assert format_number(Decimal(value), code) == shown


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("dd.mm.yyyy", "01.05.2026"),
        ("DD.MM.YYYY", "01.05.2026"),
        ("yyyy-mm-dd", "2026-05-01"),
        ("d. mmmm yyyy", "1. May 2026"),
        ("[$-409]ddd, d-mmm-yy", "Fri, 1-May-26"),
        ("d/m/yy h:mm", "1/5/26 18:05"),
        ("h:mm:ss AM/PM", "6:05:09 PM"),
        ("mm:ss", "05:09"),
        ('yyyy"年"m"月"', "2026年5月"),
        ("[$-407]d. mmmm yyyy", None),
        ("[$-407]dd.mm.yyyy", "01.05.2026"),
        ("[$-F800]dddd, mmmm dd, yyyy", None),
        ("[h]:mm", None),
    ],
)
def test_dates_are_shown_as_their_format_says(code: str, shown: str | None) -> None:
    assert format_date(dt.datetime(2026, 5, 1, 18, 5, 9), code) == shown  # noqa: DTZ001  (a workbook's has no zone)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("text", "text"),
        (["number", "1e+19", 0], "10000000000000000000"),
        (["number", "1e-07", 0], "0.0000001"),
        (["number", "1.2345e-12", 0], "0.0000000000012345"),
        (["number", "3.3000000000000003", 0], "3.3"),
        (["number", "0.30000000000000004", 0], "0.3"),
        (["number", "0.3333333333333333", 0], "0.333333333"),
        (["number", "1234567.891", 0], "1234567.891"),
        (["number", "-2.5", 0], "-2.5"),
        (["duration", "129600.0", "[h]:mm"], "36:00"),
        (["duration", "129605.0", "[h]:mm:ss"], "36:00:05"),
        (["duration", "95.0", "[mm]:ss"], "1:35"),
        (["duration", "-60.0", 46], "-0:01:00"),
        (["date", "2026-05-01 12:00:00", 22], "2026-05-01 12:00:00"),
        (["number", "0.25", 9], "25%"),
        (["number", "0.5", 12], "0.5"),
        (["number", "19.9", '_-* #,##0.00\\ "€"_-'], "19.90 €"),
        (["date", "2026-05-01", 14], "2026-05-01"),
        (["date", "2026-05-01", "dd.mm.yyyy"], "01.05.2026"),
        (["time", "18:30:00", 20], "18:30"),
    ],
)
def test_a_cell_without_a_format_of_its_own_is_shown_in_full(cell: object, shown: str) -> None:
    assert format_cell(cell) == shown


def test_a_workbook_is_read_as_it_is_shown() -> None:
    row = [Styled(7, "00000"), Styled(0.25, 9), Styled(46143, "dd.mm.yyyy"), Styled(19.9, '"€" #,##0.00'), 12]
    more = [Styled(1.5, "[h]:mm"), Styled(46143.5, 22), 0.1 + 0.2, True]
    data = workbook(
        [["recipient_id", "off", "when", "price", "plain", "length", "moment", "sum", "vip"], [*row, *more]]
    )
    with detect.open_sheet(io.BytesIO(data), Format.XLSX) as sheet:
        (found,) = [each.cells for each in sheet]
    assert found[:5] == ["00007", "25%", "01.05.2026", "€ 19.90", "12"]
    assert found[5:] == ["36:00", "2026-05-01 12:00:00", "0.3", "TRUE"]
