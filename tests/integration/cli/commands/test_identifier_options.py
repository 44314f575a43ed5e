"""Studies named on the command line, in place of dates."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from services.cli.commands.options.query import MAX_FILE_BYTES
from shared.contract.messages import RunQuery
from tests.support.services.cli import Doseqr
from tests.support.services.fake_services import FakeServices

QUERY = ("query", "--remote", "pacs", "--store", "doseqr", "--ct", "--json")


def sent(services: FakeServices) -> dict[str, object]:
    command = services.commands[-1]
    assert isinstance(command, RunQuery)
    return command.criteria


@pytest.mark.parametrize(
    ("option", "file_option", "field"),
    [
        ("--accession-number", "--accession-numbers", "accession_numbers"),
        ("--study", "--studies", "study_instance_uids"),
    ],
)
def test_studies_are_named_one_by_one_and_in_a_file(
    doseqr: Doseqr, services: FakeServices, tmp_path: Path, option: str, file_option: str, field: str
) -> None:
    # Given
    doseqr.with_nodes()
    file = tmp_path / "list.txt"
    file.write_bytes(b"\xef\xbb\xbf# of March\r\n1.2.3\r\n\r\n1.2.4\r\n1.2.3\r\n")
    # When
    result = doseqr(*QUERY, option, "1.2.1", option, "1.2.2", file_option, str(file))
    # Then
    assert result.code == 0
    assert result.json["criteria"][field] == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]
    assert sent(services)[field] == ["1.2.1", "1.2.2", "1.2.3", "1.2.4"]


def test_a_list_can_come_from_standard_input(
    doseqr: Doseqr, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given
    doseqr.with_nodes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"A1\nA2\n")))
    # When
    result = doseqr(*QUERY, "--accession-numbers", "-")
    # Then
    assert result.code == 0
    assert sent(services)["accession_numbers"] == ["A1", "A2"]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"1.2.3\n# no\n1.2.y\n", "line 3: must be a UID"),
        (b"\n# nothing\n", "holds none"),
        (b"\xff\xfe1\x00", "is no text in UTF-8"),
        (b"1" * (MAX_FILE_BYTES + 1), "is larger than 1048576 bytes"),
        (None, "cannot be read: No such file or directory"),
    ],
)
def test_a_wrong_file_is_wrong_usage(
    doseqr: Doseqr, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    # Given
    doseqr.with_nodes()
    file = tmp_path / "list.txt"
    if content is not None:
        file.write_bytes(content)
    # When
    result = doseqr(*QUERY, "--studies", str(file))
    # Then
    assert (result.code, result.json["error"]["field"]) == (2, "study_instance_uids")
    assert problem in result.json["error"]["problem"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        (("--accession-number", "A1", "--from", "2024-05-01"), "accession_numbers"),
        (("--study", "1.2.3", "--until", "2024-05-01"), "study_instance_uids"),
        (("--study", "1.2.3", "--accession-number", "A1"), "accession_numbers"),
        (("--study", "nonsense"), "study_instance_uids.0"),
        (("--accession-number", "A*"), "accession_numbers.0"),
    ],
)
def test_what_does_not_go_together_names_its_field(
    doseqr: Doseqr, options: tuple[str, ...], field: str
) -> None:
    # Given
    doseqr.with_nodes()
    # When
    result = doseqr(*QUERY, *options)
    # Then
    assert (result.code, result.json["error"]["field"]) == (2, field)


@pytest.mark.parametrize("name", ["-", "ris.csv"])
def test_a_short_list_of_a_file_is_one_query(
    doseqr: Doseqr, services: FakeServices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Given
    doseqr.with_nodes()
    content = "Name;Zugangsnummer\r\nMüller;A1\r\nMaier;A*\r\nRoth;A2\r\nMüller;A1\r\n".encode("cp1252")
    (tmp_path / "ris.csv").write_bytes(content)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    file = name if name == "-" else str(tmp_path / name)
    # When
    result = doseqr(*QUERY, "--list", file, "--leave-out-errors")
    # Then
    assert result.code == 0, result.err
    assert sent(services)["accession_numbers"] == ["A1", "A2"]


def test_wrong_lines_of_a_list_are_named_by_number(
    doseqr: Doseqr, services: FakeServices, tmp_path: Path
) -> None:
    # Given
    doseqr.with_nodes()
    file = tmp_path / "ris.csv"
    file.write_text("study uid\n1.2.3\n1..4\n\n1.2.x\n")
    # When
    result = doseqr(*QUERY, "--list", str(file))
    # Then
    assert result.code == 2
    error = result.json["error"]
    assert (error["field"], error["number_of_errors"]) == ("list", 2)
    assert [wrong["line"] for wrong in error["lines"]] == [3, 5]
    assert "Line 3: " in result.err
    assert services.commands == []


@pytest.mark.parametrize(
    ("content", "options", "problem"),
    [
        ("Nr;Case\n17;A1\n18;A2\n", (), "choose the one that holds the numbers"),
        ("Nr;Case\n17;A1\n18;A2\n", ("--column", "C"), "has no column C"),
        ("A1\nA2\n", ("--study", "1.2"), "not with"),
        ("", (), "holds no line"),
        ("A1\n" * 2 + "\n".join(f"A{n}" for n in range(1001)), ("--estimate",), "longer than one query"),
    ],
)
def test_a_list_that_cannot_be_queried_is_wrong_usage(
    doseqr: Doseqr,
    services: FakeServices,
    tmp_path: Path,
    content: str,
    options: tuple[str, ...],
    problem: str,
) -> None:
    # Given
    doseqr.with_nodes()
    file = tmp_path / "ris.csv"
    file.write_text(content)
    # When
    result = doseqr(*QUERY, "--list", str(file), *options)
    # Then
    assert (result.code, result.json["error"]["code"]) == (2, "wrong_usage")
    assert problem in result.err
    assert services.commands == []


def test_a_long_list_becomes_parts_that_are_shown_and_cancelled(
    doseqr: Doseqr, services: FakeServices, tmp_path: Path
) -> None:
    # Given
    doseqr.with_nodes()
    file = tmp_path / "ris.csv"
    file.write_text("\n".join(f"A{number}" for number in range(100_000)))
    # When
    begun = doseqr(*QUERY, "--list", str(file), "--no-wait")
    # Then
    assert begun.code == 0, begun.err
    assert (begun.json["parts"], begun.json["identifiers"], begun.json["status"]) == (100, 100_000, "queued")
    # When
    listed, shown = doseqr("lists", "list", "--json"), doseqr("lists", "show", begun.json["id"])
    cancelled = doseqr("lists", "cancel", begun.json["id"], "--json")
    # Then
    assert listed.json[0]["name"] == "ris.csv"
    assert "0 of 100 parts ended" in shown.out
    assert cancelled.code == 0
    assert doseqr("lists", "show", "nowhere").code == 2
    assert doseqr("lists", "retrieve", begun.json["id"], "--json").json == []
