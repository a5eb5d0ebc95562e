"""Files of recipients: every spelling that people's programs have, and what makes none of them take much."""

import io
import json
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies

from common.campaigns.recipients.formats import detect, json_rows
from common.campaigns.recipients.formats.detect import Format
from common.campaigns.recipients.formats.headings import MOST_COLUMNS
from common.campaigns.recipients.formats.rows import LONGEST_ROW, InvalidFileError, Row
from tests.support.campaigns.workbooks import workbook

CSV, JSON, LINES, XLSX = Format.CSV, Format.JSON, Format.JSON_LINES, Format.XLSX


def read(data: bytes, kind: Format = CSV, encoding: str | None = None) -> tuple[list[str], list[Row]]:
    with detect.open_sheet(io.BytesIO(data), kind, encoding) as sheet:
        rows = list(sheet)
        return sheet.columns, rows


def cells(data: bytes, kind: Format = CSV, encoding: str | None = None) -> list[list[str]]:
    columns, rows = read(data, kind, encoding)
    return [columns, *(row.cells for row in rows)]


@pytest.mark.parametrize(
    "data",
    [
        "name,city\nAda,Łódź\n",
        "\ufeffname,city\r\nAda,Łódź\r\n",
        "name;city\nAda;Łódź",
        "name\tcity\nAda\tŁódź\n",
        "name,city\rAda,Łódź\r",
        '"name","city"\n"Ada","Łódź"\n\n',
        "sep=;\nname;city\nAda;Łódź\n",
        " name , city \nAda,Łódź\n",
        "name|city\nAda|Łódź\n",
        "\ufeff\ufeffname,city\nAda,Łódź\n",
        "\n,,\n \nname,city\nAda,Łódź\n",
        "sep=;\n\nname;city\nAda;Łódź\n",
        "name,city,,\n,,,\nAda,Łódź,,\n,,,\n",
    ],
)
def test_csv_of_every_dialect_is_read(data: str) -> None:
    assert cells(data.encode()) == [["name", "city"], ["Ada", "Łódź"]]


def test_quotes_hold_separators_ends_of_lines_and_quotes() -> None:
    assert cells(b'a,b\n"x,y","1\r\n2 ""3"""\n')[1] == ["x,y", '1\n2 "3"']


def test_another_charset_is_read_when_it_is_declared() -> None:
    assert cells("name\nJosé".encode("iso-8859-1"), encoding="iso-8859-1")[1] == ["José"]
    assert cells("name\n€".encode("windows-1252"), encoding="windows-1252")[1] == ["€"]


def test_a_ragged_row_is_a_fault_of_that_row_alone() -> None:
    _, rows = read(b"a,b\n1\n1,2,3\n1,2\n")
    assert [row.fault and row.fault[0] for row in rows] == ["ragged_row", "ragged_row", None]
    assert [row.number for row in rows] == [1, 2, 3]
    assert all(len(row.cells) == 2 for row in rows)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "header"),
        (b"\n\n", "header"),
        (b'a,b\n1,2\n"3,4\n', "Line 3"),
        (b'a,b\n"x"y,2\n', "Line 2"),
        (b"a\nb\0c\n", "Line 2 contains a NUL"),
        ("é,b\n".encode() + "José,2\n".encode("iso-8859-1"), "Line 2 contains bytes that are not UTF-8"),
        (b"a,b\n1,2\n\x81,3\n", "Line 3 contains bytes that are not WINDOWS-1252"),
        (b",".join(b"c%d" % number for number in range(10_000)), "10000 columns"),
        (b'a\n"' + b"x" * 200_000 + b'"\n', "field larger"),
        (b"a\n" + b"x" * (LONGEST_ROW + 1), "must not exceed"),
        (b'a\n"' + b"x,\n" * LONGEST_ROW, "Line"),
        (b"PK\x03\x04 and so on", "archive"),
        (b"\x1f\x8b and so on", "archive"),
    ],
)
def test_malformed_csv_is_refused_with_the_line(data: bytes, word: str) -> None:
    with pytest.raises(InvalidFileError, match=word):
        read(data)


class Endless(io.RawIOBase):
    """A field that never ends, and counts how much of it was read."""

    def __init__(self) -> None:
        self.given = 0

    def read(self, size: int = -1) -> bytes:
        self.given += size
        return b"a\n" if self.given == size else b"x" * size


@pytest.mark.parametrize("kind", [CSV, LINES, JSON])
def test_an_endless_field_is_refused_at_the_row_limit(kind: Format) -> None:
    endless = Endless()
    with pytest.raises(InvalidFileError), detect.open_sheet(endless, kind) as sheet:  # type: ignore[arg-type]  # it only reads
        list(sheet)
    assert endless.given < 3 * LONGEST_ROW


def test_json_lines_and_arrays_are_rows_of_texts() -> None:
    objects = [{"name": "Ada", "age": 36}, {"name": "Bob", "vip": True, "age": None}, {"pi": 3.10}]
    lines = "\n".join(json.dumps(each) for each in objects).replace("3.1", "3.10").encode()
    array = b"[" + lines.replace(b"\n", b" ,\n ") + b"]\n"
    for data, kind in ((lines + b"\n\n", LINES), (b"\xef\xbb\xbf" + array, JSON)):
        columns, rows = read(data, kind)
        assert columns == ["name", "age", "vip", "pi"]
        assert [row.cells for row in rows] == [["Ada", "36"], ["Bob", "", "true"], ["", "", "", "3.10"]]


@settings(max_examples=30)
@given(strategies.lists(strategies.dictionaries(strategies.sampled_from("abc"), strategies.text()), min_size=1))
def test_an_array_is_read_the_same_wherever_its_chunks_end(objects: list[dict[str, str]]) -> None:
    whole, piece = json.dumps(objects).encode(), json_rows.BUFFER
    try:
        for json_rows.BUFFER in (1, 7, piece):
            columns, rows = read(whole, JSON)
            found = [dict(zip(columns, row.cells, strict=False)) for row in rows]
            assert [{k: v for k, v in each.items() if v} for each in found] == [
                {k: v for k, v in each.items() if v} for each in objects
            ]
    finally:
        json_rows.BUFFER = piece


@pytest.mark.parametrize(
    "data",
    [
        "",
        "{}",
        "null",
        "[1]",
        '["a"]',
        '[{"a": 1},]',
        '[{"a": 1}',
        '[{"a": 1} {"a": 2}]',
        '[{"a": 1}] x',
        '[{"a": NaN}]',
        '[{"a": 1, "a": 2}]',
        "[" * 100_000,
        '[{"a":' + '{"a":' * 100_000,
        json.dumps([{f"c{number}": 1 for number in range(MOST_COLUMNS + 1)}]),
    ],
)
def test_malformed_json_is_refused(data: str) -> None:
    with pytest.raises(InvalidFileError):
        read(data.encode(), JSON)


def test_columns_of_lists_and_objects_are_told() -> None:
    _, rows = read(b'[{"a": [1], "c": 1}, {"a": {"b": 1}}, {"a": 1}]', JSON)
    assert [row.nested for row in rows] == [("a",), ("a",), ()]
    assert [row.cells[0] for row in rows] == ["", "", "1"]


def test_the_first_sheet_of_a_workbook_is_read_as_displayed() -> None:
    data = workbook(
        [["name", "age", "vip", "since"], ["Ada", 36, True, 2.5], ["", "", "", ""], ["Łódź", 1e15, False, ""]]
    )
    assert cells(data, XLSX) == [
        ["name", "age", "vip", "since"],
        ["Ada", "36", "TRUE", "2.5"],
        ["Łódź", "1000000000000000", "FALSE", ""],
    ]


def pack(*parts: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            archive.writestr(name, content)
    return buffer.getvalue()


def bomb() -> bytes:
    return pack(("xl/workbook.xml", b"<workbook/>"), ("xl/worksheets/sheet1.xml", b" " * (300 * 2**20)))


def nested() -> bytes:
    return pack(*((f"lib {number}.zip", pack(("0.dll", b"\0" * 1000))) for number in range(16)))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (bomb, "must not exceed .* when unpacked"),
        (nested, "not an Excel workbook"),
        (lambda: pack(("xl/workbook.xml", b"<workbook/>")), "damaged"),
        (lambda: workbook([["a"], ["b"]])[:-50], "not an Excel workbook"),
        (lambda: b"\x1f\x8b0000", "not an Excel workbook"),
        (lambda: b"name\nAda\n", "not an Excel workbook"),
    ],
)
def test_archives_that_are_not_workbooks_and_zip_bombs_are_refused(make: Callable[[], bytes], word: str) -> None:
    with pytest.raises(InvalidFileError, match=word):
        read(make(), XLSX)
