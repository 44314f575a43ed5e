"""Objects stay below their folder, and what only the store needs is its own."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest

from services.store.objects.durable_folder import Conflict, Duplicate, ObjectFolder, ReceivedObject, Stored
from services.store.objects.errors import ObjectWriteError
from tests.support.services.store import DicomObject, made_object


@pytest.fixture
def folder(tmp_path) -> Iterator[ObjectFolder]:
    opened = ObjectFolder(tmp_path / "objects")
    opened.open()
    yield opened
    opened.close()


def received(made: DicomObject) -> ReceivedObject:
    return ReceivedObject(made.identity, made.transfer_syntax_uid, "TEST", made.data_set)


@pytest.mark.parametrize("level", [0, 1])
def test_a_symbolic_link_to_another_folder_is_not_followed(folder, tmp_path, level):
    # Given
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    made = made_object(1)
    link = folder.root.joinpath(*made.path.split("/")[: level + 1])
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(elsewhere)
    # When, Then
    with pytest.raises(ObjectWriteError, match="symbolic link"):
        folder.store(received(made))
    assert not list(elsewhere.rglob("*"))


def test_a_symbolic_link_in_the_place_of_an_object_is_no_duplicate(folder, tmp_path):
    # Given the same object elsewhere
    made = made_object(1)
    assert isinstance(folder.store(received(made)), Stored)
    file = folder.root / made.path
    file.rename(tmp_path / "elsewhere.dcm")
    file.symlink_to(tmp_path / "elsewhere.dcm")
    # When, Then
    with pytest.raises(ObjectWriteError, match="symbolic link"):
        folder.store(received(made))


def test_a_symbolic_link_among_the_conflicts_is_not_followed(folder, tmp_path):
    # Given
    first = made_object(1)
    other = made_object(2, sop=first.sop_instance_uid)
    folder.store(received(first))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (folder.root / ".conflicts").symlink_to(elsewhere)
    # When, Then
    with pytest.raises(ObjectWriteError, match="symbolic link"):
        folder.store(received(other))
    assert not list(elsewhere.rglob("*"))


def test_other_content_under_a_uid_is_kept_aside_up_to_the_bound(folder):
    # Given
    objects = [made_object(number, sop="1.2.826.0.1.9") for number in range(1, 13)]
    # When
    results = [folder.store(received(made)) for made in objects[:11]]
    # Then
    assert isinstance(results[0], Stored)
    assert all(isinstance(result, Conflict) for result in results[1:])
    with pytest.raises(ObjectWriteError, match="under this UID"):
        folder.store(received(objects[11]))
    assert isinstance(folder.store(received(objects[0])), Duplicate)


def test_locks_belong_to_the_store_alone(folder):
    # Given
    with folder.exclusive("scan"):
        pass
    # When
    locks = list((folder.root / ".incoming").rglob("*lock"))
    # Then
    assert len(locks) >= 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in locks} == {0o600}
