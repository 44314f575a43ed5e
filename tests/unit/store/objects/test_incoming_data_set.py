"""The data set of an object as it arrives."""

import errno
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from services.store.objects.durable_folder import ObjectFolder
from services.store.objects.errors import ObjectWriteError, OutOfSpaceError
from services.store.objects.identity import read_identity
from services.store.objects.incoming_data_set import MEMORY_BYTES, IncomingDataSet, TooLargeError
from services.store.objects.temp_file import TempFile
from tests.support.services.store import data_set_in, made_object

LIMIT = 8 * MEMORY_BYTES


@pytest.fixture
def folder(tmp_path) -> Iterator[ObjectFolder]:
    opened = ObjectFolder(tmp_path)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def open_temp_file(folder) -> Callable[[], TempFile]:
    """What makes the file for a large object."""
    return partial(
        folder.open_temp_file,
        sop_class_uid="1.2.3",
        sop_instance_uid="1.2.3.4",
        transfer_syntax_uid="1.2.840.10008.1.2",
        source_ae_title="TEST",
    )


def parts(folder: ObjectFolder) -> list[Path]:
    return list(folder.root.rglob("*.part"))


def test_a_small_one_is_held_in_memory(folder, open_temp_file):
    # Given
    arriving = IncomingDataSet(open_temp_file, LIMIT)
    # When
    for fragment in (b"one ", b"", b"two"):
        arriving.add(fragment)
    # Then
    assert bytes(arriving.data()) == b"one two"
    assert arriving.temp_file is None
    assert arriving.problem is None
    assert not parts(folder)


def test_a_large_one_is_written_as_it_comes(folder, open_temp_file):
    # Given
    arriving = IncomingDataSet(open_temp_file, LIMIT)
    fragments = [bytes([number]) * (MEMORY_BYTES // 2) for number in range(5)]
    # When
    for fragment in fragments:
        arriving.add(fragment)
    # Then
    assert bytes(arriving.data()) == b"".join(fragments)
    (part,) = parts(folder)
    assert data_set_in(part) == b"".join(fragments)
    # And nothing of it stays when it is not kept
    arriving.discard()
    assert not parts(folder)


def test_one_beyond_the_limit_leaves_nothing_and_is_counted_on(folder, open_temp_file):
    # Given
    arriving = IncomingDataSet(open_temp_file, 2 * MEMORY_BYTES)
    # When
    for _ in range(5):
        arriving.add(bytes(MEMORY_BYTES))
    # Then
    assert isinstance(arriving.problem, TooLargeError)
    assert arriving.size_bytes == 5 * MEMORY_BYTES
    assert not arriving.data()
    assert not parts(folder)


def test_without_a_file_all_is_held_in_memory():
    # Given
    arriving = IncomingDataSet(None, LIMIT)
    # When
    arriving.add(bytes(2 * MEMORY_BYTES))
    # Then
    assert len(arriving.data()) == 2 * MEMORY_BYTES


@pytest.mark.parametrize(
    ("error", "expected"),
    [(OSError(errno.ENOSPC, "full"), OutOfSpaceError), (OSError(errno.EROFS, "read-only"), ObjectWriteError)],
)
def test_a_file_that_cannot_be_made_is_remembered_until_the_response(error, expected):
    # Given
    def fail() -> TempFile:
        raise error

    arriving = IncomingDataSet(fail, LIMIT)
    # When
    arriving.add(bytes(2 * MEMORY_BYTES))
    arriving.add(b"more")
    # Then
    assert type(arriving.problem) is expected
    assert not arriving.data()


def test_bulk_data_that_is_left_out_is_neither_in_memory_nor_in_a_file(folder, open_temp_file):
    # Given
    made = made_object(1, size_bytes=3 * MEMORY_BYTES)
    arriving = IncomingDataSet(open_temp_file, LIMIT, made.transfer_syntax_uid, lambda _begin: True)
    # When
    for at in range(0, len(made.data_set), 1 << 16):
        arriving.add(made.data_set[at : at + (1 << 16)])
        assert len(arriving.data()) <= 2 * MEMORY_BYTES
    arriving.end()
    # Then
    assert arriving.problem is None
    assert len(arriving.data()) < 1000
    assert read_identity(arriving.data(), arriving.transfer_syntax_uid).is_header
    assert not parts(folder)


def test_object_that_is_wanted_whole_is_whole_although_others_are_not(folder, open_temp_file):
    # Given
    made = made_object(1, size_bytes=3 * MEMORY_BYTES)
    arriving = IncomingDataSet(open_temp_file, LIMIT, made.transfer_syntax_uid, lambda _begin: False)
    # When
    for at in range(0, len(made.data_set), 1 << 16):
        arriving.add(made.data_set[at : at + (1 << 16)])
    arriving.end()
    # Then
    assert bytes(arriving.data()) == made.data_set
    assert arriving.transfer_syntax_uid == made.transfer_syntax_uid


def test_cut_off_object_is_no_header_and_is_refused(open_temp_file):
    # Given
    made = made_object(1)
    arriving = IncomingDataSet(open_temp_file, LIMIT, made.transfer_syntax_uid, lambda _begin: True)
    # When
    arriving.add(made.data_set[:-100])
    arriving.end()
    # Then
    assert "cut off" in str(arriving.problem)
    assert bytes(arriving.data()) == b""
