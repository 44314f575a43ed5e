"""Only commands that set up a system make a database; all others say where they looked."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import pytest
import structlog

from tests.support.services.cli import Doseqr


@pytest.mark.parametrize(
    "command",
    [
        ("nodes", "add", "store", "s", "--host", "h", "--port", "104", "--ae-title", "S"),
        ("users", "add", "ada", "--role", "viewer", "--password-stdin"),
    ],
)
def test_the_data_folder_is_made_by_what_sets_up_a_system(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_DATA_DIR", str(tmp_path / "new"))
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough pass phrase\n"))
    # When
    result = doseqr(*command)
    # Then
    assert result.code == 0
    assert stat.S_ISREG((tmp_path / "new" / "doseqr.sqlite").stat().st_mode)


@pytest.mark.parametrize(
    "command",
    [
        ("jobs",),
        ("jobs", "--json"),
        ("show", "1"),
        ("why", "1", "1.2"),
        ("export", "1"),
        ("cancel", "1"),
        ("again", "1"),
        ("retrieve", "1"),
        ("query", "--remote", "1", "--store", "2", "--ct"),
        ("qr", "-ct", "1", "2"),
        ("echo",),
        ("profile", "1"),
        ("nodes", "list"),
        ("nodes", "remove", "1"),
        ("nodes", "edit", "1", "--name", "x"),
        ("users", "list"),
        ("users", "set-password", "ada", "--password-stdin"),
        ("handover", "list"),
        ("handover", "retry", "1"),
    ],
    ids=" ".join,
)
def test_no_other_command_makes_a_database(
    doseqr: Doseqr, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: tuple[str, ...]
) -> None:
    # Given
    monkeypatch.setenv("DOSEQR_DATA_DIR", str(tmp_path / "elsewhere"))
    # When
    result = doseqr(*command)
    # Then
    assert result.code == 4
    assert f"There is no database at {tmp_path / 'elsewhere' / 'doseqr.sqlite'}" in result.err
    assert not (tmp_path / "elsewhere").exists()


def test_an_empty_list_of_jobs_names_its_database(doseqr: Doseqr) -> None:
    # When
    result = doseqr("jobs")
    # Then
    assert (result.code, str(doseqr.settings.data_dir) in result.err) == (0, True)


def test_a_log_line_beside_a_command_leaves_its_json_alone(doseqr: Doseqr) -> None:
    # Given: a service of the same process, before the command has configured the log
    structlog.get_logger().warning("no broker")
    # When
    result = doseqr("nodes", "list", "--json")
    # Then
    assert [node["name"] for node in result.json] == ["doseqr"]
