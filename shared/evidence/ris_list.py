"""A list of examinations from the RIS: its columns by their English or German names, its lines checked. Pure.

Nothing else of a line is kept: names and other columns are not even looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from shared.errors import InvalidInputError
from shared.evidence.ris_file import Row, lost_digits, rows_of
from shared.identifiers import Uid

#: Errors that are named; the others are counted.
ERRORS_MAX = 1000
_ACCESSION_MAX, _TEXT_MAX = 64, 64

#: The columns, by names in which only letters and digits count.
_NAMES: Mapping[str, Sequence[str]] = {
    "accession_number": [
        "accessionnumber",
        "accessionno",
        "accessionnr",
        "accession",
        "accnr",
        "accno",
        "acc",
        "accessionnum",
        "zugangsnummer",
        "zugriffsnummer",
        "auftragsnummer",
        "anforderungsnummer",
        "untersuchungsnummer",
        "akzessionsnummer",
        "ordernumber",
    ],
    "study_instance_uid": ["studyinstanceuid", "studyuid", "studienuid", "studieninstanzuid", "uid"],
    "day": [
        "date",
        "studydate",
        "examdate",
        "examinationdate",
        "datum",
        "untersuchungsdatum",
        "studiendatum",
        "aufnahmedatum",
        "termin",
    ],
    "room": [
        "room",
        "raum",
        "station",
        "stationname",
        "device",
        "gerät",
        "arbeitsplatz",
        "untersuchungsraum",
        "modalityroom",
    ],
    "procedure": [
        "procedure",
        "exam",
        "examination",
        "untersuchung",
        "leistung",
        "prozedur",
        "untersuchungsart",
        "description",
        "beschreibung",
    ],
    "modality": ["modality", "modalität", "modalitaet"],
}
#: Which of the two identifiers a column holds, by its name.
IDENTIFIER_NAMES: Mapping[str, str] = {
    name: key for key in ("accession_number", "study_instance_uid") for name in _NAMES[key]
}
_NOT_NAME = re.compile(r"[\W_]+")
_ISO = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_DOTTED = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})")
_SLASHED = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})")
_SERIAL = re.compile(r"\d{5}(\.\d+)?")
#: Day 0 of the dates of spreadsheets; 1900 counts as a leap year there (ECMA-376, 18.17.4.1).
_SERIAL_ZERO = date(1899, 12, 30)


@dataclass(frozen=True, slots=True)
class RisLine:
    """An examination of the list."""

    line: int
    accession_number: str = ""
    study_instance_uid: str = ""
    day: date | None = None
    room: str = ""
    procedure: str = ""
    modality: str = ""


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that cannot be used, and why."""

    line: int
    field: str
    problem: str


@dataclass(slots=True)
class RisList:
    """The usable lines, and the errors of the others."""

    lines: list[RisLine] = field(default_factory=list)
    errors: list[LineError] = field(default_factory=list)
    number_of_errors: int = 0

    def add_error(self, error: LineError) -> None:
        """Count an error, and keep it if there are not too many."""
        self.number_of_errors += 1
        if len(self.errors) < ERRORS_MAX:
            self.errors.append(error)


def read_list(content: bytes) -> RisList:
    """Return the lines of a CSV or XLSX file, whose first row names the columns.

    Raises:
        InvalidInputError: it is no such file, or no column names the examinations; names `file`.
    """
    rows = rows_of(content)
    columns = _columns(next(rows, (1, [])))
    return _checked(_values(rows, columns))


def read_lines(lines: Iterable[Mapping[str, str]]) -> RisList:
    """Return the lines of a list of objects with the keys of `RisLine`, counted from 1."""
    return _checked(enumerate(lines, 1))


def plain_name(name: str) -> str:
    """Return the name of a column as it is compared: only its letters and digits, in lower case."""
    return _NOT_NAME.sub("", name.casefold())


def _columns(header: Row) -> dict[str, int]:
    by_name = {plain_name(name): place for place, name in reversed([*enumerate(header[1])])}
    columns = {
        key: by_name[known] for key, names in _NAMES.items() for known in reversed(names) if known in by_name
    }
    if "accession_number" not in columns and "study_instance_uid" not in columns:
        raise InvalidInputError(
            "file",
            "has no column named Accession number or Study instance UID in its first row"
            " (in German: Zugangsnummer, Studien-UID)",
        )
    return columns


def _values(rows: Iterator[Row], columns: Mapping[str, int]) -> Iterator[tuple[int, dict[str, str]]]:
    for line, cells in rows:
        yield line, {key: cells[place] if place < len(cells) else "" for key, place in columns.items()}


def _checked(lines: Iterable[tuple[int, Mapping[str, str]]]) -> RisList:
    numbered = [(number, {key: values.get(key, "").strip() for key in _NAMES}) for number, values in lines]
    found = RisList()
    day_first = _is_day_first([values["day"] for _, values in numbered])
    for number, values in numbered:
        checked = _line(number, values, day_first)
        if isinstance(checked, RisLine):
            found.lines.append(checked)
        else:
            found.add_error(checked)
    return found


def _line(number: int, values: Mapping[str, str], day_first: bool | None) -> RisLine | LineError:
    accession, uid = values["accession_number"], values["study_instance_uid"]
    if not accession and not uid:
        return LineError(number, "accession_number", "neither accession number nor study instance UID")
    if len(accession) > _ACCESSION_MAX or not accession.isprintable():
        return LineError(number, "accession_number", f"is no text of at most {_ACCESSION_MAX} characters")
    if problem := lost_digits(accession):
        return LineError(number, "accession_number", problem)
    if uid and not _is_uid(uid):
        return LineError(number, "study_instance_uid", "is no UID (PS3.5 9.1)")
    try:
        day = _day(values["day"], day_first)
    except ValueError as error:
        return LineError(number, "date", str(error))
    texts = {key: _text(values[key]) for key in ("room", "procedure", "modality")}
    return RisLine(number, accession, uid, day, **texts)


def _is_uid(text: str) -> bool:
    return Uid.problem_of(Uid.clean(text)) is None


def _text(value: str) -> str:
    return "".join(character for character in value[:_TEXT_MAX] if character.isprintable())


def _is_day_first(days: Sequence[str]) -> bool | None:
    """Return how the whole list writes dates with slashes; None: every one of them can be read both ways."""
    for text in days:
        found = _SLASHED.match(text)
        if found and max(int(found[1]), int(found[2])) > 12 >= min(int(found[1]), int(found[2])):  # noqa: PLR2004
            return int(found[1]) > 12  # noqa: PLR2004
    return None


def _day(text: str, day_first: bool | None) -> date | None:
    """Return the day of a date, with or without a time after it.

    Raises:
        ValueError: it is none, or day and month cannot be told apart.
    """
    if not text:
        return None
    if found := _ISO.match(text):
        parts = int(found[1]), int(found[2]), int(found[3])
    elif found := _DOTTED.match(text):
        parts = int(found[3]), int(found[2]), int(found[1])
    elif found := _SLASHED.match(text):
        if day_first is None and found[1] != found[2]:
            raise ValueError("day and month cannot be told apart: write yyyy-mm-dd")
        first, second = int(found[1]), int(found[2])
        parts = (int(found[3]), second, first) if day_first else (int(found[3]), first, second)
    elif _SERIAL.fullmatch(text):
        return _SERIAL_ZERO + timedelta(days=int(float(text)))
    else:
        raise ValueError("is no date such as 2026-11-03 or 03.11.2026")
    try:
        return date(*parts)
    except ValueError:
        raise ValueError("there is no such date") from None
