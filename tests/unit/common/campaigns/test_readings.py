"""What is found out about a file of recipients: its encoding, its headings, and what a sheet hides."""

import io

import pytest

from common.campaigns.placeholders import find_column, spell_placeholder, spell_values
from common.campaigns.recipients.formats import detect
from common.campaigns.recipients.formats.detect import Format
from common.campaigns.recipients.formats.encodings import find_encoding
from common.campaigns.recipients.formats.headings import LONGEST_COLUMN, MOST_COLUMNS, name_columns
from common.campaigns.recipients.formats.reading import Reading
from common.campaigns.recipients.formats.rows import InvalidFileError, Row
from common.campaigns.recipients.identity import IdRule
from common.campaigns.recipients.lists import ListContents
from common.campaigns.recipients.notes import describe_contents
from common.campaigns.recipients.validation import InvalidRow, RowChecker, ValidRow
from tests.support.campaigns.campaign_fixture import spec
from tests.support.campaigns.workbooks import workbook


def read(data: bytes, kind: Format = Format.CSV, encoding: str | None = None) -> tuple[list[str], list[Row], Reading]:
    with detect.open_sheet(io.BytesIO(data), kind, encoding) as sheet:
        rows = list(sheet)
        return sheet.columns, rows, sheet.reading


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "windows-1252"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Format.CSV, "id;name\n1;Müller – Söhne\n2;Zoë\n"),
        (Format.JSON, '[{"id": "1", "name": "Müller – Söhne"}, {"id": "2", "name": "Zoë"}]'),
        (Format.JSON_LINES, '{"id": "1", "name": "Müller – Söhne"}\n{"id": "2", "name": "Zoë"}'),
    ],
)
def test_the_encoding_of_a_text_is_found_out_and_told(written: str, told: str, kind: Format, text: str) -> None:
    columns, rows, reading = read(text.encode(written), kind)
    assert (columns, [row.cells for row in rows]) == (["id", "name"], [["1", "Müller – Söhne"], ["2", "Zoë"]])
    assert (reading.encoding, reading.is_guessed) == (told, True)


def test_a_declared_encoding_is_not_guessed() -> None:
    assert read("name\nZoë".encode("cp1252"), encoding="windows-1252")[2].is_guessed is False
    with pytest.raises(InvalidFileError, match=r"Line 2 contains bytes that are not UTF-8.*charset"):
        read("name\nZoë".encode("cp1252"), encoding="utf-8")
    with pytest.raises(InvalidFileError, match="UTF-16, but the request declares it as utf-8"):
        read("name\nZoë".encode("utf-16"), encoding="utf-8")


@pytest.mark.parametrize(
    ("charset", "encoding", "name"),
    [
        ("windows-1250", "windows-1250", "Łódź"),
        ("Windows-1251", "windows-1251", "Юлия"),
        ("windows-1257", "windows-1257", "Šiauliai"),
        ("cp1252", "windows-1252", "Zoë"),
        ("latin1", "iso-8859-1", "Zoë"),
        ("ISO_8859-15", "iso-8859-15", "Zoë €"),
        ("iso-8859-2", "iso-8859-2", "Łódź"),
        ("macintosh", "macintosh", "Zoë"),
        ("mac-latin2", "mac-latin2", "Łódź"),
        ("utf8", "utf-8", "Łódź"),
        ("us-ascii", "utf-8", "Ada"),
    ],
)
def test_an_encoding_is_known_by_all_its_names(charset: str, encoding: str, name: str) -> None:
    assert find_encoding(charset) == encoding
    assert read(f"name\n{name}\n".encode(encoding), encoding=encoding)[1][0].cells == [name]


@pytest.mark.parametrize("charset", ["utf-7", "idna", "x", "../utf8", "zip", "unicode_escape", "Łatin", "\x00"])
def test_other_encodings_are_not_taken(charset: str) -> None:
    assert find_encoding(charset) is None


def test_a_guessed_encoding_is_told_with_a_word_by_which_it_can_be_judged() -> None:
    columns, _, reading = read('name;city\nAda;"Nowy, Łódź"\n'.encode("windows-1250"))
    assert (reading.encoding, reading.sample) == ("windows-1252", "£ódŸ")
    notes = " ".join(describe_contents(ListContents(columns, "name", reading)))
    assert "windows-1252 (Western European), with words such as £ódŸ." in notes
    assert "charset=windows-1250" in notes


def test_the_separator_and_the_row_of_the_headings_are_told() -> None:
    reading = read(b"\n;;\nname;city\nAda;Oslo\n")[2]
    assert (reading.separator, reading.header_row) == (";", 3)


def test_a_wrapped_heading_does_not_hide_the_separator() -> None:
    columns, rows, reading = read(b'"Date of\nbirth";name\n1990;Ada\n')
    assert (columns, rows[0].cells, reading.separator) == (["Date of birth", "name"], ["1990", "Ada"], ";")


@pytest.mark.parametrize(
    ("headings", "columns"),
    [
        (["First Name", "contact.name"], ["First Name", "contact.name"]),
        ([" Date of\nbirth ", "a\r\n b"], ["Date of birth", "a b"]),
        (["Phone", "Phone", "Phone"], ["Phone", "Phone 2", "Phone 3"]),
        (["First Name", "first_name"], ["First Name 2", "first_name"]),
        (["\u200bCity", "Kunden\u00adnummer", "a\x07b"], ["City", "Kundennummer", "ab"]),
        (["a" * 200, "a" * 300], ["a" * LONGEST_COLUMN, "a" * (LONGEST_COLUMN - 2) + " 2"]),
        (["\u200b", "a"], ["Column 1", "a"]),
        (["a", "", "b", ""], ["a", "Column 2", "b"]),
        (["Column 2", ""], ["Column 2"]),
    ],
)
def test_headings_become_columns_of_different_names_on_one_line(headings: list[str], columns: list[str]) -> None:
    assert name_columns(headings) == columns
    assert len({*map(spell_placeholder, columns)}) == len(columns)


@pytest.mark.parametrize(
    ("headings", "words"),
    [
        (["c"] * (MOST_COLUMNS + 1), "201 columns"),
    ],
)
def test_a_refused_heading_is_named_with_the_remedy(headings: list[str], words: str) -> None:
    with pytest.raises(InvalidFileError, match=words):
        name_columns(headings)


@pytest.mark.parametrize(
    ("column", "placeholder"),
    [
        ("name", "name"),
        ("Größe", "Größe"),
        ("a-b", "a-b"),
        ("First Name", "first_name"),
        ("contact.name", "contact_name"),
        ("E-Mail (privat)", "e_mail_privat"),
        ("2024", "column_2024"),
        ("!", "column"),
        ("if", "if_"),
    ],
)
def test_each_column_has_a_name_in_templates(column: str, placeholder: str) -> None:
    assert spell_placeholder(column) == placeholder
    assert spell_placeholder(placeholder) == placeholder
    assert find_column(placeholder, ["other", column]) == column


def test_a_sheet_is_read_where_its_table_begins_and_hidden_rows_are_counted() -> None:
    rows = [["", "", ""], ["", "name", ""], ["", "Ada", "x"], ["", "Ben", ""], ["", "", ""], ["", "Cy", ""]]
    columns, read_rows, reading = read(workbook(rows, hidden=(4, 5, 6)), Format.XLSX)
    assert columns == ["name", "Column 2"]
    assert [row.cells for row in read_rows] == [["Ada", "x"], ["Ben", ""], ["Cy", ""]]
    assert (reading.sheet, reading.header_row, reading.hidden_rows) == ("People", 2, 2)


def test_a_cell_of_spaces_is_empty() -> None:
    rows = [[" ", "", ""], ["", "name", ""], ["", "Ada", ""], ["", " ", ""]]
    columns, read_rows, _ = read(workbook(rows), Format.XLSX)
    assert (columns, [row.cells for row in read_rows]) == (["Column 1", "name"], [["", "Ada"]])
    assert [row.cells for row in read(b"name,city\nAda,Oslo\n , \n")[1]] == [["Ada", "Oslo"]]


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ('name;Size 5";ort\nAda;M;Rom\n', ["name", 'Size 5"', "ort"]),
        ("n;b,c\nAda;x,y\n", ["n", "b,c"]),
        ('"a ""b""\nc";d\n1;2\n', ['a "b" c', "d"]),
    ],
)
def test_the_separator_is_found_beside_quotes_and_commas_in_headings(text: str, columns: list[str]) -> None:
    found, rows, reading = read(text.encode())
    assert (found, len(rows), reading.separator) == (columns, 1, ";")


def test_a_name_in_json_means_the_key_that_is_called_so() -> None:
    assert read(b'[{"First Name": "long", "first_name": "short"}]', Format.JSON)[0] == ["First Name 2", "first_name"]
    values = {"first_name": "short", "First Name": "long"}  # of a list that was read by an older version
    assert spell_values(values) == {"first_name": "short"}
    assert find_column("first_name", ["First Name", "first_name"]) == "first_name"


def test_a_nested_value_spoils_a_row_only_where_the_template_needs_it() -> None:
    data = b'[{"name": "Ada", "tags": ["a"]}, {"name": {"first": "Ben"}}]'
    with detect.open_sheet(io.BytesIO(data), Format.JSON) as sheet:
        contents = ListContents([], None, sheet.reading)
        checker = RowChecker(spec(), b"salt", sheet, 0, IdRule(), lambda _: None)
        good, bad = [checker.check(row) for row in sheet]
    assert isinstance(good, ValidRow)
    assert isinstance(bad, InvalidRow)
    assert (bad.fault.code, bad.fault.column) == ("type", "name")
    assert contents.reading.nested_columns == ["tags", "name"]


def test_notes_say_all_that_is_not_plain_from_the_file() -> None:
    reading = Reading("windows-1252", True, ";", None, 3, 2, ["tags"])
    notes = " ".join(describe_contents(ListContents(["First Name"], None, reading)))
    for words in ("windows-1252", "semicolons", "row 3", "2 hidden rows", "tags", "{{ first_name }} for First Name"):
        assert words in notes
    assert "row number" in notes
    assert [
        *describe_contents(ListContents(["recipient_id"], "recipient_id", Reading("utf-8", True, ",", None, 1)))
    ] == []
