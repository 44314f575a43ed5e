"""Which column of a file holds the studies, and what is wrong in which line."""

from __future__ import annotations

import pytest

from shared.errors import InvalidInputError
from shared.study_lists.upload import ACCESSION_NUMBERS, STUDY_UIDS, UploadedList, read_upload
from tests.support.xlsx import xlsx


def letter_of(found: UploadedList) -> str:
    assert found.column is not None
    return found.column.letter


def name_of(found: UploadedList) -> str:
    assert found.column is not None
    return found.column.name


def test_a_named_column_is_found_and_others_are_left():
    # When
    found = read_upload(b"Name;Accession number;Room\nDoe;A1;CT 1\nRoe;A2;CT 2\nDoe;A1;CT 1\n")
    # Then
    assert (found.field, found.identifiers) == (ACCESSION_NUMBERS, ["A1", "A2"])
    assert (letter_of(found), found.lines, found.duplicates) == ("B", 3, 1)
    assert [column.label for column in found.columns] == ["A: Name", "B: Accession number", "C: Room"]


def test_errors_name_the_line_as_a_person_counts_it():
    # When
    found = read_upload(b"Study UID\n1.2.3\n\n1..3\n1.2.4\n")
    # Then
    assert (found.field, found.identifiers) == (STUDY_UIDS, ["1.2.3", "1.2.4"])
    assert [(error.line, error.field) for error in found.errors] == [(4, STUDY_UIDS)]


@pytest.mark.parametrize("text", [b"A1\nA2\n", b"A1\r\nA2", "\ufeffA1\nA2".encode()])
def test_a_single_column_needs_no_name(text):
    found = read_upload(text)
    assert (found.identifiers, name_of(found)) == (["A1", "A2"], "")


def test_study_uids_are_recognised_by_their_content():
    # When
    found = read_upload(b"2024-05-01,1.2.840.1,CT\n2024-05-02,1.2.840.2,MG\n")
    # Then
    assert (found.field, letter_of(found), found.identifiers) == (
        STUDY_UIDS,
        "B",
        ["1.2.840.1", "1.2.840.2"],
    )


def test_a_column_is_chosen_by_its_letter():
    content = b"Nr;Case\n17;A1\n18;A2\n"
    undecided = read_upload(content)
    assert (undecided.column, undecided.identifiers, len(undecided.columns)) == (None, [], 2)
    assert read_upload(content, "b").identifiers == ["A1", "A2"]
    with pytest.raises(InvalidInputError, match="has no column C"):
        read_upload(content, "C")


def test_a_workbook_is_read_like_a_text_file():
    found = read_upload(xlsx([["Zugangsnummer", "Raum"], ["A1", "CT 1"], [4711, "CT 2"]]))
    assert found.identifiers == ["A1", "4711"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("A*", "wildcard"),
        ("x" * 65, "64 characters"),
        ("a\x07b", "control characters"),
        ("1.23457E+11", "lost"),
        ('"1,23457E+11"', "lost"),
    ],
)
def test_what_no_accession_number_holds_is_an_error(value, problem):
    found = read_upload(f"accession number\n{value}\nA2\n".encode())
    assert (found.identifiers, found.number_of_errors) == (["A2"], 1)
    assert problem in found.errors[0].problem


def test_a_number_with_a_letter_is_an_accession_number():
    assert read_upload(b"accession number\n2024E0012\n12E+05\n").identifiers == ["2024E0012", "12E+05"]


def test_a_hundred_thousand_lines_are_read():
    # Given
    content = "accession\n" + "".join(f"A{number:08}\n" for number in range(100_000))
    # When
    found = read_upload(content.encode())
    # Then
    assert (len(found.identifiers), found.lines, found.errors) == (100_000, 100_000, [])
    with pytest.raises(InvalidInputError, match="more than 100,000 lines"):
        read_upload(f"{content}one more\n".encode())


def test_an_empty_file_is_refused():
    with pytest.raises(InvalidInputError, match="holds no line"):
        read_upload(b"\n\n")
