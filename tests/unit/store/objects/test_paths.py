from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.store.objects.paths import conflict_path, object_path, sop_instance_uid_of
from shared.errors import InvalidInputError

#: Everything that a peer may call a UID, with the characters that matter in paths drawn often.
HOSTILE = st.one_of(
    st.text(max_size=80),
    st.text(alphabet="0129./\\\0 ~-_é\n", max_size=80),
    st.from_regex(r"[0-9]{1,10}(\.[0-9]{1,10}){0,8}", fullmatch=True),
    st.sampled_from(["..", ".", "", "../x", "/etc/passwd", "1/../..", "1.2\0", "1..2", ".1", "1.", "1" * 65]),
)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_uid_leads_outside_or_anywhere_but_three_levels_down(study, series, sop):
    # Given three texts that claim to be UIDs
    # When
    try:
        path = object_path(study, series, sop)
    except InvalidInputError:
        return
    # Then
    assert not path.is_absolute()
    assert len(path.parts) == 3
    assert all(part.strip("0123456789.") in ("", "dcm") for part in path.parts)
    assert not any(part.startswith(".") for part in path.parts)
    assert sop_instance_uid_of(path) == path.stem


@given(HOSTILE, st.text(alphabet="0123456789abcdefg/.", max_size=64))
def test_no_conflict_leads_outside_its_folder(sop, sha256):
    # Given a text that claims to be a UID, and one that claims to be a digest
    # When
    try:
        path = conflict_path(sop, sha256)
    except InvalidInputError:
        return
    # Then
    assert path.parts[0] == ".conflicts"
    assert len(path.parts) == 3
    assert ".." not in path.parts


@pytest.mark.parametrize("uid", ["../x", "", "..", "1/2", "1" * 65, "1..2", "a.b", "1.2\n3"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_wrong_uid_is_refused_by_name(uid, place):
    # Given
    uids = ["1.2.3", "1.2.4", "1.2.5"]
    uids[place] = uid
    names = ["study_instance_uid", "series_instance_uid", "sop_instance_uid"]
    # When
    with pytest.raises(InvalidInputError) as caught:
        object_path(*uids)
    # Then
    assert caught.value.field == names[place]


def test_padding_is_no_part_of_the_path():
    # Given UIDs with the padding of the wire
    # When
    path = object_path("1.2.3\0", "1.2.4 ", "1.2.5")
    # Then
    assert path == PurePosixPath("1.2.3/1.2.4/1.2.5.dcm")


@pytest.mark.parametrize(
    "path", ["1/2/3", "1/2/3.txt", "1/2.dcm", "1/2/3/4.dcm", "1/2/x.dcm", "../2/3.dcm", "1/2/.dcm"]
)
def test_a_path_that_is_no_objects_has_no_uid(path):
    # When
    uid = sop_instance_uid_of(PurePosixPath(path))
    # Then
    assert uid is None
