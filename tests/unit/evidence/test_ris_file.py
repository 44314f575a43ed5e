"""Lists as files: whatever a spreadsheet writes, and what somebody makes to do harm."""

from __future__ import annotations

import contextlib
import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInputError
from shared.evidence import ris_file
from shared.evidence.ris_file import rows_of
from tests.support.xlsx import archive, xlsx

ROWS = [["Zugangsnummer", "Raum"], ["A1", "Röntgen 1"], ["A2", ""]]


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
def test_csv_is_read_in_any_encoding_and_separator(separator, encoding):
    # Given
    text = "\r\n".join(separator.join(row) for row in ROWS)
    # Then
    assert [cells for _, cells in rows_of(text.encode(encoding))] == ROWS


def test_an_xlsx_is_read_with_its_line_numbers():
    # Given
    content = xlsx([["Accession", "Date"], ["A1", 46329], ["", ""], [123456789, "2026-11-03"]])
    # Then
    assert list(rows_of(content)) == [
        (1, ["Accession", "Date"]),
        (2, ["A1", "46329"]),
        (4, ["123456789", "2026-11-03"]),
    ]


@pytest.mark.parametrize("line", ["sep=;\r\n", '"sep=;"\n', "SEP=|\n", "\ufeffsep=\t\n"])
def test_a_line_that_names_the_separator_is_none_of_the_list(line):
    # Given
    separator = line.strip('\r\n"\ufeff')[-1]
    content = line + f'Accession{separator}"Room, floor"\nA1{separator}3\n'
    # Then
    assert list(rows_of(content.encode())) == [(2, ["Accession", "Room, floor"]), (3, ["A1", "3"])]


@pytest.mark.parametrize("cell", ['="00123"', '"=""00123"""'])
def test_a_number_that_is_marked_as_text_is_that_text(cell):
    assert list(rows_of(f"Accession;Room\n{cell};x\n".encode()))[1] == (2, ["00123", "x"])


def test_numbers_keep_the_leading_zeros_that_their_cells_show():
    # Given
    sheet = '<row><c s="1"><v>123</v></c><c s="0"><v>123</v></c><c s="1" t="str"><v>7</v></c></row>'
    styles = (
        '<styleSheet><numFmts><numFmt numFmtId="164" formatCode="00000000"/></numFmts>'
        '<cellStyleXfs><xf numFmtId="164"/></cellStyleXfs>'
        '<cellXfs><xf numFmtId="0"/><xf numFmtId="164"/></cellXfs></styleSheet>'
    )
    parts = {
        "xl/worksheets/sheet1.xml": f"<worksheet><sheetData>{sheet}</sheetData></worksheet>".encode(),
        "xl/styles.xml": styles.encode(),
    }
    # Then
    assert list(rows_of(archive(parts))) == [(1, ["00000123", "123", "7"])]


def test_lines_are_numbered_as_in_the_file():
    # Given: an empty line, and a cell of two lines
    content = b'a;b\r\n\r\n"x\r\ny";z\r\nlast;z\r\n'
    # Then
    assert [number for number, _ in rows_of(content)] == [1, 3, 5]


BOMB = archive({"xl/worksheets/sheet1.xml": b"<worksheet>" + b" " * (70 << 20)})
DOCTYPE = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet>'


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (BOMB, "too large once it is unpacked"),
        (xlsx([["a"]], DOCTYPE), "document type"),
        (xlsx([["a"]])[:-30], "no XLSX file"),
        (archive({"other.txt": b"x"}), "first sheet"),
        (archive({"xl/worksheets/sheet1.xml": b"<worksheet>"}), "no XLSX file"),
        (
            archive(
                {
                    "xl/worksheets/sheet1.xml": b"<worksheet/>",
                    "xl/workbook.xml": b'<workbook><workbookPr date1904="1"/></workbook>',
                }
            ),
            "1904",
        ),
        (b"x" * (ris_file.FILE_BYTES + 1), "more than 8 MiB"),
        (b'a;b\n"' + b"x" * 200_000, "cannot be read as CSV"),
    ],
)
def test_what_is_no_list_or_does_harm_is_refused(content, problem):
    with pytest.raises(InvalidInputError, match=problem) as refused:
        list(rows_of(content))
    assert refused.value.field == "file"


@pytest.mark.parametrize("make", [lambda rows: "\n".join(row[0] for row in rows).encode(), xlsx])
def test_more_lines_than_allowed_are_refused(make, monkeypatch):
    # Given
    monkeypatch.setattr(ris_file, "ROWS_MAX", 5)
    # When / Then
    assert len(list(rows_of(make([["a"]] * 5)))) == 5
    with pytest.raises(InvalidInputError, match="more than 4 lines"):
        list(rows_of(make([["a"]] * 6)))


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8).map(str.strip)
tables = st.lists(st.tuples(texts.filter(bool), texts), min_size=1, max_size=6)


@given(tables, st.sampled_from([";", ",", "\t"]))
def test_whatever_a_table_holds_is_read_back(table, separator):
    # Given
    rows = [("Accession number", "Room"), *table]
    buffer = io.StringIO()
    csv.writer(buffer, delimiter=separator, quoting=csv.QUOTE_ALL).writerows(rows)
    # Then
    assert [tuple(cells) for _, cells in rows_of(buffer.getvalue().encode("utf-8-sig"))] == rows
    assert [cells[0] for _, cells in rows_of(xlsx(rows))] == [row[0] for row in rows]


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04"]))
def test_any_bytes_are_rows_or_refused(content, prefix):
    with contextlib.suppress(InvalidInputError):
        assert all(cells for _, cells in rows_of(prefix + content))
