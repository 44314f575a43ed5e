"""Columns by their names, and lines that are checked one by one."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInputError
from shared.evidence import ris_list
from shared.evidence.ris_list import RisLine, read_lines, read_list

DAY = dt.date(2026, 11, 3)


@pytest.mark.parametrize(
    "header",
    [
        "Accession Number;Study Instance UID;Date;Room;Procedure;Modality",
        "accession_number;study_instance_uid;study_date;station;exam;modality",
        "Zugangsnummer;Studien-UID;Datum;Raum;Untersuchung;Modalität",
        "Auftragsnummer;StudyUID;Untersuchungsdatum;Gerät;Leistung;MODALITÄT",
    ],
)
def test_columns_are_known_by_english_and_german_names(header):
    # When
    found = read_list(f"Patient;{header}\nDoe;A1;1.2;2026-11-03;R1;Thorax;CT\n".encode())
    # Then: the name is nowhere
    assert found.lines == [RisLine(2, "A1", "1.2", DAY, "R1", "Thorax", "CT")]
    assert "Doe" not in repr(found)


def test_without_a_column_of_examinations_a_list_is_refused():
    with pytest.raises(InvalidInputError, match="Zugangsnummer") as refused:
        read_list(b"Name;Datum\nDoe;2026-11-03\n")
    assert refused.value.field == "file"


@pytest.mark.parametrize(
    "text",
    ["2026-11-03", "20261103", "2026-11-03T08:15:00", "03.11.2026", "3.11.2026 08:15", "46329", "46329.34"],
)
def test_dates_are_read_as_they_are_written(text):
    assert read_lines([{"accession_number": "A1", "day": text}]).lines[0].day == DAY


def days_of(*texts: str) -> list[object]:
    found = read_lines([{"accession_number": "A1", "day": text} for text in texts])
    by_line = {line.line: line.day for line in found.lines} | {
        error.line: error.problem for error in found.errors
    }
    return [by_line[number] for number in sorted(by_line)]


def test_dates_with_slashes_follow_the_list_as_a_whole():
    assert days_of("03/11/2026", "25/11/2026") == [DAY, dt.date(2026, 11, 25)]
    assert days_of("11/03/2026", "11/25/2026") == [DAY, dt.date(2026, 11, 25)]
    assert days_of("11/11/2026") == [dt.date(2026, 11, 11)]
    (problem,) = days_of("03/11/2026")
    assert "cannot be told apart" in str(problem)


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"room": "R1"}, "accession_number"),
        ({"accession_number": "x" * 65}, "accession_number"),
        ({"accession_number": "a\x00b"}, "accession_number"),
        ({"accession_number": "1.23457E+11"}, "accession_number"),
        ({"study_instance_uid": "1.2.x"}, "study_instance_uid"),
        ({"accession_number": "A1", "day": "yesterday"}, "date"),
        ({"accession_number": "A1", "day": "2026-02-30"}, "date"),
    ],
)
def test_a_wrong_line_is_named_and_the_others_stay(values, field):
    # When
    found = read_lines([values, {"accession_number": "A2"}])
    # Then
    assert [(error.line, error.field) for error in found.errors] == [(1, field)]
    assert [line.line for line in found.lines] == [2]


def test_errors_beyond_a_bound_are_counted_only(monkeypatch):
    # Given
    monkeypatch.setattr(ris_list, "ERRORS_MAX", 2)
    # When
    found = read_lines([{}] * 5)
    # Then
    assert (len(found.errors), found.number_of_errors) == (2, 5)


cells = st.text(max_size=20)


@given(
    st.lists(st.fixed_dictionaries({"accession_number": cells, "study_instance_uid": cells, "day": cells}))
)
def test_each_line_is_a_line_or_an_error(lines):
    # When
    found = read_lines(lines)
    # Then
    numbers = [line.line for line in found.lines] + [error.line for error in found.errors]
    assert sorted(numbers) == list(range(1, len(lines) + 1))
