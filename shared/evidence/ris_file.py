"""The rows of a list as a file: CSV in the encodings and with the separators of spreadsheets, or XLSX. Pure.

An XLSX file is a ZIP archive of XML (ECMA-376). Only its first sheet and its shared strings are read, as a
stream: without a document type, so that there are no entities, and up to a bounded size, however well the
archive is compressed.
"""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO, StringIO
from xml.parsers import expat

from shared.errors import InvalidInputError

#: Rows with a value, columns and characters of a cell; more is no list of examinations.
ROWS_MAX, COLUMNS_MAX, CELL_LENGTH_MAX = 100_001, 60, 1000
#: Bytes of a file, and of each part of an XLSX once it is unpacked.
FILE_BYTES, PART_BYTES = 8 << 20, 64 << 20
_CHUNK_BYTES = 64 << 10
_SEPARATORS = (";", "\t", ",")
_ZIP = b"PK\x03\x04"
_SHEET, _STRINGS, _WORKBOOK = "xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"
_STYLES = "xl/styles.xml"
_COLUMN = re.compile(r"[A-Z]{1,3}")
#: The line by which a file names its separator to spreadsheets.
_SEPARATOR_LINE = re.compile(r"\"?sep=([;,\t|])\"?\r?\n", re.IGNORECASE)
#: A long number as spreadsheets write it that took it for one: its last digits are lost.
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]+)?[eE][+-][0-9]{2,3}")
#: A value that spreadsheets are told to take for text, though it looks like a number.
_TEXT_FORMULA = re.compile(r'="([^"]*)"')
#: A format of numbers that shows leading zeros.
_ZEROS = re.compile(r"0{2,64}")

#: The number of a line, and its cells.
Row = tuple[int, list[str]]


def rows_of(content: bytes) -> Iterator[Row]:
    """Yield the rows that hold anything, with their numbers as a person counts them.

    Raises:
        InvalidInputError: it is no such file, or too large; names `file`.
    """
    if len(content) > FILE_BYTES:
        raise _wrong(f"has more than {FILE_BYTES >> 20} MiB")
    rows = _xlsx(content) if content.startswith(_ZIP) else _csv(content)
    number_of_rows = 0
    for line, cells in rows:
        if not any(cells):
            continue
        number_of_rows += 1
        if number_of_rows > ROWS_MAX:
            raise _wrong(f"has more than {ROWS_MAX - 1:,} lines")
        yield line, cells


def lost_digits(identifier: str) -> str | None:
    """Return what is wrong with an identifier that a spreadsheet took for a number; None if nothing is."""
    if not _ROUNDED.fullmatch(identifier):
        return None
    return "is a number whose last digits a spreadsheet has lost; give the column the format text there"


def _wrong(problem: str) -> InvalidInputError:
    return InvalidInputError("file", problem)


# CSV


def _csv(content: bytes) -> Iterator[Row]:
    text = _decoded(content)
    head = text[: text.find("\n")] if "\n" in text else text
    separator = max(_SEPARATORS, key=head.count)
    lines, line = StringIO(text, newline=""), 1
    if named := _SEPARATOR_LINE.match(text):
        separator, line = named[1], 2
        lines.seek(named.end())
    reader = csv.reader(lines, delimiter=separator)
    skipped = line - 1
    try:
        for cells in reader:
            yield line, [_csv_cell(cell) for cell in cells[:COLUMNS_MAX]]
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise _wrong(f"cannot be read as CSV in line {skipped + reader.line_num}: {error}") from None


def _decoded(content: bytes) -> str:
    """Return the text: with a byte order mark as it says, else UTF-8, else Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def _csv_cell(text: str) -> str:
    formula = _TEXT_FORMULA.fullmatch(text.strip())
    return _cell(formula[1] if formula else text)


def _cell(text: str) -> str:
    return text.strip()[:CELL_LENGTH_MAX]


# XLSX


def _xlsx(content: bytes) -> Iterator[Row]:
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            names = set(archive.namelist())
            if _SHEET not in names:
                raise _wrong("is no XLSX file with a first sheet")
            strings = _Strings()
            if _STRINGS in names:
                _parse(archive, _STRINGS, strings)
            dates = _Workbook()
            if _WORKBOOK in names:
                _parse(archive, _WORKBOOK, dates)
            styles = _Styles()
            if _STYLES in names:
                _parse(archive, _STYLES, styles)
            sheet = _Sheet(strings.texts, styles.digits)
            _parse(archive, _SHEET, sheet)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise _wrong("is no XLSX file that can be read") from error
    if dates.since_1904:
        raise _wrong("counts its dates from 1904; save it as CSV")
    yield from sheet.rows


class _PartReader:
    """What is read of one part; texts between the tags are gathered in `text`."""

    def __init__(self) -> None:
        self.text: list[str] = []

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Take the start of an element."""

    def end(self, name: str) -> None:
        """Take the end of an element."""


class _Workbook(_PartReader):
    since_1904 = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "workbookPr":
            self.since_1904 = attributes.get("date1904") in ("1", "true")


class _Strings(_PartReader):
    """The strings that cells share."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._phonetic = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        self._phonetic += name == "rPh"
        if name == "si":
            self.text.clear()

    def end(self, name: str) -> None:
        self._phonetic -= name == "rPh"
        if name == "si":
            self.texts.append(_cell("".join(self.text)))
            self.text.clear()
            if len(self.texts) > ROWS_MAX * 10:
                raise _wrong("has too many texts")


class _Styles(_PartReader):
    """How many digits the styles of cells show at least."""

    def __init__(self) -> None:
        super().__init__()
        self.digits: list[int] = []
        self._digits_of_format: dict[str, int] = {}
        self._in_cells = False

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "numFmt" and _ZEROS.fullmatch(attributes.get("formatCode", "")):
            self._digits_of_format[attributes.get("numFmtId", "")] = len(attributes["formatCode"])
        elif name == "cellXfs":
            self._in_cells = True
        elif name == "xf" and self._in_cells:
            self.digits.append(self._digits_of_format.get(attributes.get("numFmtId", ""), 0))

    def end(self, name: str) -> None:
        self._in_cells = self._in_cells and name != "cellXfs"


class _Sheet(_PartReader):
    """The rows of the sheet; `digits`: how many each style of cells shows at least."""

    def __init__(self, strings: list[str], digits: list[int]) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self._strings = strings
        self._digits_of_style = {str(style): number for style, number in enumerate(digits) if number}
        self._digits = 0
        self._line = 0
        self._cells: list[str] = []
        self._column, self._type = 0, ""
        self._value = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            number = attributes.get("r", "")
            self._line = int(number) if number.isdecimal() and len(number) < 8 else self._line + 1  # noqa: PLR2004
            self._cells = []
        elif name == "c":
            found = _COLUMN.match(attributes.get("r", ""))
            self._column = _column(found[0]) if found else len(self._cells)
            self._type, self._value = attributes.get("t", "n"), ""
            self._digits = self._digits_of_style.get(attributes.get("s", ""), 0)
        if name in ("v", "t", "is"):
            self.text.clear()

    def end(self, name: str) -> None:
        if name in ("v", "t"):
            self._value += "".join(self.text)
            self.text.clear()
        elif name == "c" and self._column < COLUMNS_MAX:
            self._cells += [""] * (self._column + 1 - len(self._cells))
            self._cells[self._column] = _cell(self._text())
        elif name == "row" and any(self._cells):
            self.rows.append((self._line, self._cells))
            if len(self.rows) > ROWS_MAX:
                raise _wrong(f"has more than {ROWS_MAX - 1:,} lines")

    def _text(self) -> str:
        if self._type == "s":
            value = self._value
            is_index = value.isdecimal() and len(value) < 8 and int(value) < len(self._strings)  # noqa: PLR2004
            return self._strings[int(value)] if is_index else ""
        if self._type == "n":
            number = _number(self._value)
            return number.zfill(self._digits) if number.isdecimal() else number
        return self._value


def _number(value: str) -> str:
    """Return a number as it is shown: a whole one without a decimal point or exponent."""
    try:
        number = float(value)
    except ValueError:
        return value
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else value  # noqa: PLR2004


def _column(letters: str) -> int:
    column = 0
    for letter in letters:
        column = column * 26 + ord(letter) - ord("A") + 1
    return column - 1


def _parse(archive: zipfile.ZipFile, name: str, handler: _PartReader) -> None:
    """Parse a part as a stream; namespaces are cut off.

    Raises:
        InvalidInputError: it is no XML, has a document type, or is too large.
    """
    parser = expat.ParserCreate()
    parser.StartElementHandler = _local(handler.start)
    parser.EndElementHandler = _local(handler.end)
    parser.CharacterDataHandler = handler.text.append
    parser.StartDoctypeDeclHandler = _refuse_doctype
    size = 0
    with archive.open(name) as part:
        try:
            while chunk := part.read(_CHUNK_BYTES):
                size += len(chunk)
                if size > PART_BYTES:
                    raise _wrong("is too large once it is unpacked")
                parser.Parse(chunk, False)
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            raise _wrong("is no XLSX file that can be read") from error


def _local(handle: Callable[..., None]) -> Callable[..., None]:
    def handler(name: str, *rest: object) -> None:
        handle(name.rpartition(":")[2], *rest)

    return handler


def _refuse_doctype(*_: object) -> None:
    raise _wrong("holds a document type, which no XLSX file does")
