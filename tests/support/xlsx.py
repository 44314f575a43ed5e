"""XLSX files as spreadsheets write them, small enough to be made by hand."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from xml.sax.saxutils import escape

_SHEET = '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
_STRINGS = '<?xml version="1.0"?><sst xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'


def xlsx(rows: Sequence[Sequence[str | int]], head: str = "") -> bytes:
    """Return a workbook of one sheet: texts as shared strings, numbers as numbers; `head` comes before it."""
    strings: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        cells = []
        for column, value in enumerate(row):
            place = f"{chr(65 + column)}{number}"
            if isinstance(value, int):
                cells.append(f'<c r="{place}"><v>{value}</v></c>')
            elif value:
                cells.append(f'<c r="{place}" t="s"><v>{len(strings)}</v></c>')
                strings.append(value)
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    sheet = f"{head or _SHEET}<sheetData>{''.join(lines)}</sheetData></worksheet>"
    texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in strings)
    return archive(
        {
            "xl/worksheets/sheet1.xml": sheet.encode(),
            "xl/sharedStrings.xml": f"{_STRINGS}{texts}</sst>".encode(),
        }
    )


def archive(parts: dict[str, bytes]) -> bytes:
    """Return a ZIP archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return buffer.getvalue()
