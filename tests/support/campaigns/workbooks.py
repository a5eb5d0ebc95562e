"""Small Excel workbooks, written by hand: the few parts of Office Open XML (ECMA-376) that a reader asks for."""

import io
import zipfile
from collections.abc import Collection, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPES = "application/vnd.openxmlformats-officedocument.spreadsheetml"

MEDIA_TYPE = f"{TYPES}.sheet"
PARTS = {
    "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    f'<Override PartName="/xl/workbook.xml" ContentType="{TYPES}.sheet.main+xml"/>'
    f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{TYPES}.worksheet+xml"/>'
    f'<Override PartName="/xl/styles.xml" ContentType="{TYPES}.styles+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
    f'<Relationship Id="r1" Type="{RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/>'
    f'<Relationship Id="r2" Type="{RELATIONS}/styles" Target="styles.xml"/></Relationships>',
    "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">'
    '<sheets><sheet name="People" sheetId="1" r:id="r1"/></sheets></workbook>',
}


class Styled(NamedTuple):
    """A number with its format: a code, or the number of a built-in one."""

    value: float
    format: str | int


Cell = str | int | float | bool | Styled


def workbook(rows: Sequence[Sequence[Cell]], hidden: Collection[int] = ()) -> bytes:
    """Return a workbook of one sheet, of which some rows are *hidden*; the first is 1."""
    formats: list[str | int] = [0]
    lines = []
    for number, row in enumerate(rows, 1):
        hiding = ' hidden="1"' if number in hidden else ""
        lines.append(f"<row{hiding}>{''.join(_spell(cell, formats) for cell in row)}</row>")
    parts = PARTS | {
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
        "xl/styles.xml": _write_styles(formats),
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{content}')
    return buffer.getvalue()


def _spell(cell: Cell, formats: list[str | int]) -> str:
    if isinstance(cell, bool):
        return f'<c t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, Styled):
        formats.append(cell.format)
        return f'<c s="{len(formats) - 1}"><v>{cell.value!r}</v></c>'
    if isinstance(cell, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(cell)}</t></is></c>' if cell else "<c/>"
    return f"<c><v>{cell!r}</v></c>"


def _write_styles(formats: Sequence[str | int]) -> str:
    own = {code: 164 + place for place, code in enumerate(formats) if isinstance(code, str)}
    codes = "".join(f'<numFmt numFmtId="{number}" formatCode={quoteattr(code)}/>' for code, number in own.items())
    styles = "".join(f'<xf numFmtId="{own.get(code, code) if isinstance(code, str) else code}"/>' for code in formats)
    return f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellXfs>{styles}</cellXfs></styleSheet>'
