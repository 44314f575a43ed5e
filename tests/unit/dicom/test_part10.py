from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.dicom.part10 import file_head, read_head
from shared.errors import InvalidInputError

UIDS = st.from_regex(r"[0-9]{1,6}(\.[0-9]{1,6}){0,7}", fullmatch=True)


@given(UIDS, UIDS, UIDS, st.text(alphabet="ABCab12_- ", max_size=16).map(str.strip))
def test_a_head_is_read_as_it_was_written(sop_class_uid, sop_instance_uid, transfer_syntax_uid, ae_title):
    # Given
    head = file_head(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        transfer_syntax_uid=transfer_syntax_uid,
        source_ae_title=ae_title,
    )
    # When
    found = read_head(head + b"\x08\x00\x05\x00data set")
    # Then
    assert found.transfer_syntax_uid == transfer_syntax_uid
    assert found.data_set_offset == len(head)


def test_pydicom_understands_the_head():
    # Given
    head = file_head(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        source_ae_title="CT1",
    )
    # When
    meta = pydicom.dcmread(BytesIO(head)).file_meta
    # Then
    pydicom.dataset.validate_file_meta(meta)
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.SourceApplicationEntityTitle == "CT1"
    assert meta.FileMetaInformationGroupLength == len(head) - 132 - 12


@given(st.binary(max_size=400), st.booleans())
def test_a_file_that_is_none_is_refused_and_nothing_worse(data, with_magic):
    # Given
    file = bytes(128) + b"DICM" + data if with_magic else data
    # When
    try:
        head = read_head(file)
    except InvalidInputError:
        return
    # Then
    assert head.data_set_offset <= len(file)


def test_a_head_without_a_transfer_syntax_is_refused():
    # When
    with pytest.raises(InvalidInputError) as caught:
        read_head(bytes(128) + b"DICM")
    # Then
    assert caught.value.field == "transfer_syntax_uid"
