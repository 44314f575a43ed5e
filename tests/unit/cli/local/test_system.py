"""The file by which a running system is found, and the folder that the demo may wipe."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from services.cli.local.demo import own_folder
from services.cli.local.system import found_by_others, pid_of_running
from services.cli.output.exit_codes import CommandError
from shared.settings import Settings, read_running, running_file


def test_a_running_system_is_found_by_its_file(tmp_path: Path) -> None:
    # Given
    settings = Settings(data_dir=tmp_path, amqp_url="amqp://me:secret@127.0.0.1:1/", store_port=104)
    # When
    with found_by_others(settings):
        # Then
        found = read_running(tmp_path)
        assert found["amqp_url"] == settings.amqp_url
        assert found["store_port"] == 104
        assert pid_of_running(tmp_path) == os.getpid()
        assert stat.S_IMODE(running_file(tmp_path).stat().st_mode) == 0o600
    assert not running_file(tmp_path).exists()


@pytest.mark.parametrize("text", ["", "{}", "[]", json.dumps({"pid": 2**22 + 1}), "no json"])
def test_a_file_that_a_dead_system_left_is_removed(tmp_path: Path, text: str) -> None:
    # Given
    running_file(tmp_path).write_text(text)
    # When / Then
    assert pid_of_running(tmp_path) is None
    assert not running_file(tmp_path).exists()


def test_the_demos_folder_is_emptied_each_time(tmp_path: Path) -> None:
    # Given
    with own_folder(tmp_path / "demo") as folder:
        (folder / "left").touch()
    # When
    with own_folder(tmp_path / "demo") as again:
        # Then
        assert not (again / "left").exists()


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    # Given
    precious = tmp_path / "demo" / "precious"
    precious.parent.mkdir()
    precious.touch()
    # When / Then
    with pytest.raises(CommandError, match="not the demo's"), own_folder(tmp_path / "demo"):
        pass
    assert precious.exists()


def test_two_demos_do_not_share_a_folder(tmp_path: Path) -> None:
    # When / Then
    with (
        own_folder(tmp_path / "demo"),
        pytest.raises(CommandError, match="Another demo"),
        own_folder(tmp_path / "demo"),
    ):
        pass
