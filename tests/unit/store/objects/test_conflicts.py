"""Other content under a known UID is kept aside up to a bound: for each UID, in all, and in bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.store.objects import conflicts
from services.store.objects.conflicts import MAX_OF_UID, check_room
from services.store.objects.errors import TooManyConflictsError


def aside(root: Path, uid: str, number: int, size_bytes: int = 10) -> str:
    """Put a file aside and return its path."""
    path = f".conflicts/{uid}/{number:064x}.dcm"
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(bytes(size_bytes))
    return path


def test_a_folder_without_conflicts_has_room(tmp_path):
    # When, Then
    check_room(tmp_path, ".conflicts/1.2.3/a.dcm", 10)


def test_one_uid_has_a_bound_of_its_own(tmp_path):
    # Given
    for number in range(MAX_OF_UID):
        aside(tmp_path, "1.2.3", number)
    # When, Then
    with pytest.raises(TooManyConflictsError, match="10 others under this UID"):
        check_room(tmp_path, ".conflicts/1.2.3/a.dcm", 10)
    check_room(tmp_path, ".conflicts/1.2.4/a.dcm", 10)


@pytest.mark.parametrize(("files", "size_bytes"), [(20, 1), (5, 300)])
def test_all_uids_together_have_a_bound_of_files_and_bytes(tmp_path, monkeypatch, files, size_bytes):
    # Given
    monkeypatch.setattr(conflicts, "MAX_FILES", 20)
    monkeypatch.setattr(conflicts, "MAX_BYTES", 1500)
    for number in range(files):
        aside(tmp_path, f"1.2.{number}", number, size_bytes)
    # When, Then
    with pytest.raises(TooManyConflictsError, match=f"{files} conflicting objects"):
        check_room(tmp_path, ".conflicts/1.3/a.dcm", 10)


def test_what_is_kept_aside_already_may_come_again(tmp_path):
    # Given
    paths = [aside(tmp_path, "1.2.3", number) for number in range(MAX_OF_UID)]
    # When, Then
    check_room(tmp_path, paths[0], 10)
