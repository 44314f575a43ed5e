"""The accession numbers or study UIDs of an uploaded CSV or XLSX file, each once, errors by line. Pure.

Only the chosen column is kept: a list from the RIS may hold names of patients in others.
"""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from shared.contract.criteria_fields import MAX_ACCESSION_NUMBER_LENGTH
from shared.errors import InvalidInputError
from shared.evidence.ris_file import Row, lost_digits, rows_of
from shared.evidence.ris_list import IDENTIFIER_NAMES, LineError, plain_name
from shared.identifiers import Uid

ACCESSION_NUMBERS, STUDY_UIDS = "accession_numbers", "study_instance_uids"
_FIELDS = {"accession_number": ACCESSION_NUMBERS, "study_instance_uid": STUDY_UIDS}

#: Errors that are named; the others are counted. Rows by which the content of a column is judged.
ERRORS_MAX, JUDGED_ROWS = 1000, 50
#: Characters of a column's name.
_NAME_LENGTH = 60


@dataclass(frozen=True, slots=True)
class UploadColumn:
    """A column of the file: its letter, as spreadsheets have it, and its name if it has one."""

    letter: str
    name: str

    @property
    def label(self) -> str:
        """What people choose it by."""
        return f"{self.letter}: {self.name}" if self.name else self.letter


@dataclass(slots=True)
class UploadedList:
    """What was read of a file."""

    columns: list[UploadColumn]
    #: The chosen column, none where neither names nor content tell which it is; and what it holds.
    column: UploadColumn | None
    field: str
    identifiers: list[str] = dataclasses.field(default_factory=list)
    #: Lines with a value, and those whose value an earlier line has.
    lines: int = 0
    duplicates: int = 0
    errors: list[LineError] = dataclasses.field(default_factory=list)
    number_of_errors: int = 0


class WrongLinesError(InvalidInputError):
    """Lines of a list cannot be used; `errors` names them, up to a bound."""

    def __init__(self, errors: Sequence[LineError], number_of_errors: int) -> None:
        first = errors[0]
        lines = "1 line is" if number_of_errors == 1 else f"{number_of_errors:,} lines are"
        super().__init__(
            "file",
            f"{lines} wrong; the first is line {first.line}: {first.problem}. Correct them, or have them "
            "left out",
        )
        self.errors, self.number_of_errors = list(errors), number_of_errors


def read_list(content: bytes, column: str, *, leave_out_errors: bool) -> UploadedList:
    """Return the identifiers of a list that is to be queried as it is: at least one, from a known column.

    Raises:
        WrongLinesError: lines are wrong, and are not to be left out.
        InvalidInputError: it is no such file, holds nothing, or its column has to be chosen.
    """
    found = read_upload(content, column)
    if found.column is None:
        labels = ", ".join(column.label for column in found.columns)
        raise InvalidInputError("column", f"choose the one that holds the numbers by its letter: {labels}")
    if found.errors and not leave_out_errors:
        raise WrongLinesError(found.errors, found.number_of_errors)
    if not found.identifiers:
        raise InvalidInputError("file", "no line of it can be used")
    return found


def read_upload(content: bytes, column: str = "") -> UploadedList:
    """Return the identifiers of one column: that of this letter, or the one that its name or content gives.

    Raises:
        InvalidInputError: it is no such file, holds nothing, or has no such column; names `file`.
    """
    rows = iter(rows_of(content))
    head = list(islice(rows, JUDGED_ROWS))
    if not head:
        raise InvalidInputError("file", "holds no line")
    columns = _columns(head)
    place = _place(columns, head, column)
    if place is None:
        return UploadedList(columns, None, ACCESSION_NUMBERS)
    is_named = bool(columns[place].name)
    values = [_cell(cells, place) for _, cells in head[is_named:]]
    found = UploadedList(columns, columns[place], _field(columns[place], values))
    _read(found, place, chain(head[is_named:], rows))
    return found


def _columns(head: Sequence[Row]) -> list[UploadColumn]:
    """Return the columns; those of a file whose first row holds identifiers already have no names."""
    width = max(len(cells) for _, cells in head)
    first = head[0][1]
    has_names = not any(_looks_like_identifier(cell) for cell in first) or any(map(_known, first))
    names = [cell[:_NAME_LENGTH] for cell in first] if has_names else []
    names += [""] * (width - len(names))
    return [UploadColumn(_letter(place), name) for place, name in enumerate(names)]


def _place(columns: Sequence[UploadColumn], head: Sequence[Row], column: str) -> int | None:
    wanted = column.strip().upper()
    if wanted:
        place = next((place for place, found in enumerate(columns) if found.letter == wanted), None)
        if place is None:
            raise InvalidInputError("file", f"has no column {wanted[:8]}")
        return place
    for key in _FIELDS:
        for place, found in enumerate(columns):
            if _known(found.name) == key:
                return place
    used = [place for place in range(len(columns)) if any(_cell(cells, place) for _, cells in head)]
    uids = [place for place in used if _are_uids([_cell(cells, place) for _, cells in head[1:]])]
    return used[0] if len(used) == 1 else uids[0] if len(uids) == 1 else None


def _field(column: UploadColumn, values: Sequence[str]) -> str:
    known = _known(column.name)
    if known is not None:
        return _FIELDS[known]
    return STUDY_UIDS if _are_uids(values) else ACCESSION_NUMBERS


def _read(found: UploadedList, place: int, rows: Iterable[Row]) -> None:
    known: set[str] = set()
    for line, cells in rows:
        text = _cell(cells, place)
        if not text:
            continue
        found.lines += 1
        if found.field == STUDY_UIDS:
            text = Uid.clean(text)
        problem = Uid.problem_of(text) if found.field == STUDY_UIDS else _accession_problem(text)
        if problem is not None:
            found.number_of_errors += 1
            if len(found.errors) < ERRORS_MAX:
                found.errors.append(LineError(line, found.field, problem))
        elif text in known:
            found.duplicates += 1
        else:
            known.add(text)
            found.identifiers.append(text)


def _accession_problem(text: str) -> str | None:
    if len(text) > MAX_ACCESSION_NUMBER_LENGTH:
        return f"has more than {MAX_ACCESSION_NUMBER_LENGTH} characters"
    if not text.isprintable():
        return "holds control characters"
    if set(text) & set("*?\\"):
        return "holds a wildcard or a backslash"
    return lost_digits(text)


def _cell(cells: Sequence[str], place: int) -> str:
    return cells[place] if place < len(cells) else ""


def _known(name: str) -> str | None:
    return IDENTIFIER_NAMES.get(plain_name(name))


def _are_uids(values: Sequence[str]) -> bool:
    texts = [value for value in values if value]
    return bool(texts) and sum(_is_uid(text) for text in texts) * 2 > len(texts)


def _is_uid(text: str) -> bool:
    return text.count(".") > 1 and Uid.problem_of(Uid.clean(text)) is None


def _looks_like_identifier(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _letter(place: int) -> str:
    letters = string.ascii_uppercase
    return letters[place] if place < len(letters) else letters[place // 26 - 1] + letters[place % 26]
