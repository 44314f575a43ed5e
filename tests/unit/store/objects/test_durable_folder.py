"""Objects stay below their folder, and what only the store needs is its own."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest

from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError
from services.store.objects.identity import read_identity
from services.store.objects.incoming_data_set import IncomingDataSet
from services.store.objects.kept import Conflict, Duplicate, ReceivedObject, Replaced, Stored
from tests.support.services.store import DicomObject, data_set_in, made_object


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


def header_of(made: DicomObject, step: int = 512) -> ReceivedObject:
    """Return an object as it is kept without its bulk data."""
    arriving = IncomingDataSet(None, 1 << 30, made.transfer_syntax_uid, lambda _begin: True)
    for at in range(0, len(made.data_set), step):
        arriving.add(made.data_set[at : at + step])
    arriving.end()
    identity = read_identity(arriving.data(), arriving.transfer_syntax_uid)
    return ReceivedObject(identity, arriving.transfer_syntax_uid, "TEST", bytes(arriving.data()))


def test_whole_object_takes_the_place_of_its_header(folder):
    # Given
    made = made_object(1)
    header = header_of(made)
    assert isinstance(folder.store(header), Stored)
    # When
    whole = folder.store(received(made))
    # Then
    assert isinstance(whole, Replaced)
    assert data_set_in(folder.root / made.path) == made.data_set
    assert isinstance(folder.store(received(made)), Duplicate)
    assert not list(folder.root.rglob("*.part"))


def test_header_takes_the_place_of_nothing(folder):
    # Given
    made, other = made_object(1), made_object(2, sop=made_object(1).sop_instance_uid)
    whole = folder.store(received(made))
    # When
    results = [folder.store(header_of(made)), folder.store(header_of(other))]
    # Then
    assert results == [Duplicate(made.path, whole.sha256, whole.size_bytes, first=True)] * 2
    assert data_set_in(folder.root / made.path) == made.data_set
    assert isinstance(folder.store(received(other)), Conflict)
