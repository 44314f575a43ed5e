"""Requests for storage commitment and reports on them, as pydicom writes and reads them, and as nonsense."""

from __future__ import annotations

import contextlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom.dsutils import decode, encode

from shared.dicom.sop_classes import STORAGE_COMMITMENT_INSTANCE
from shared.dicom.storage_commitment.messages import (
    ALL_COMMITTED,
    FAILURES_EXIST,
    INVALID_ARGUMENT,
    NO_SUCH_EVENT_TYPE,
    NO_SUCH_INSTANCE,
    Reference,
    RefusedEventError,
    action_error,
    encode_request,
    new_transaction_uid,
    read_report,
    reason_text,
)
from shared.identifiers import Uid

CT = "1.2.840.10008.5.1.4.1.1.2"

both_encodings = pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "explicit"])
uids = st.lists(st.integers(0, 99999), min_size=2, max_size=9).map(
    lambda parts: ".".join(map(str, [1, *parts]))
)


def item(uid: str, reason: int | None = None) -> Dataset:
    ds = Dataset()
    ds.ReferencedSOPClassUID = CT
    ds.ReferencedSOPInstanceUID = uid
    if reason is not None:
        ds.FailureReason = reason
    return ds


def report_of(
    transaction_uid: str, committed: list[str], failed: dict[str, int], *, undefined_length: bool = False
) -> Dataset:
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    ds.RetrieveAETitle = "ARCHIVE"
    ds.ReferencedSOPSequence = Sequence([item(uid) for uid in committed])
    ds.FailedSOPSequence = Sequence([item(uid, reason) for uid, reason in failed.items()])
    for name in ("ReferencedSOPSequence", "FailedSOPSequence"):
        ds[name].is_undefined_length = undefined_length
        for sequence_item in ds[name].value:
            sequence_item.is_undefined_length_sequence_item = undefined_length
    return ds


def encoded(ds: Dataset, *, implicit: bool) -> bytes:
    data = encode(ds, implicit, True)
    assert data is not None
    return data


@both_encodings
@given(uid=uids, named=st.lists(uids, max_size=20, unique=True))
def test_a_request_is_read_by_pydicom_as_it_is_meant(implicit, uid, named):
    # When
    data = encode_request(
        uid, [Reference(CT, sop_instance_uid) for sop_instance_uid in named], implicit=implicit
    )
    # Then
    ds = decode(BytesIO(data), implicit, True)
    assert ds.TransactionUID == uid
    assert [reference.ReferencedSOPInstanceUID for reference in ds.ReferencedSOPSequence] == named
    assert all(reference.ReferencedSOPClassUID == CT for reference in ds.ReferencedSOPSequence)


@both_encodings
@given(
    uid=uids,
    committed=st.sets(uids, max_size=10),
    failed=st.dictionaries(uids, st.integers(0, 0xFFFF), max_size=10),
    undefined_length=st.booleans(),
)
def test_a_report_is_read_as_pydicom_writes_it(implicit, uid, committed, failed, undefined_length):
    # Given
    ds = report_of(uid, sorted(committed), failed, undefined_length=undefined_length)
    data = encoded(ds, implicit=implicit)
    # When
    report = read_report(FAILURES_EXIST, STORAGE_COMMITMENT_INSTANCE, data)
    # Then: what is named both ways has failed
    assert report.transaction_uid == uid
    assert report.failed == failed
    assert report.committed == committed - failed.keys()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_items_without_a_valid_uid_are_ignored():
    # Given
    ds = report_of("1.2.3", ["1.2.4"], {})
    ds.ReferencedSOPSequence.append(Dataset())
    ds.ReferencedSOPSequence.append(item("1..2"))
    data = encoded(ds, implicit=True)
    # When
    report = read_report(ALL_COMMITTED, STORAGE_COMMITMENT_INSTANCE, data)
    # Then
    assert report.committed == {"1.2.4"}


@pytest.mark.parametrize(
    ("event_type_id", "instance_uid", "transaction_uid", "status"),
    [
        (1, "1.2.840.10008.1.20.1", "1.2.3", NO_SUCH_INSTANCE),
        (1, "", "1.2.3", NO_SUCH_INSTANCE),
        (3, STORAGE_COMMITMENT_INSTANCE, "1.2.3", NO_SUCH_EVENT_TYPE),
        (None, STORAGE_COMMITMENT_INSTANCE, "1.2.3", NO_SUCH_EVENT_TYPE),
        (1, STORAGE_COMMITMENT_INSTANCE, "", INVALID_ARGUMENT),
        (2, STORAGE_COMMITMENT_INSTANCE, "../1", INVALID_ARGUMENT),
        (2, STORAGE_COMMITMENT_INSTANCE, "1." * 33 + "1", INVALID_ARGUMENT),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_what_is_no_report_is_refused(event_type_id, instance_uid, transaction_uid, status):
    # Given
    data = encoded(report_of(transaction_uid, [], {}), implicit=True)
    # When
    with pytest.raises(RefusedEventError) as refused:
        read_report(event_type_id, instance_uid, data)
    # Then
    assert refused.value.status_code == status


@both_encodings
@given(cut=st.integers(1, 200))
def test_a_report_that_is_cut_off_is_not_believed_to_be_whole(implicit, cut):
    # Given
    whole = encoded(report_of("1.2.3", [], {f"1.2.{n}": 0x0112 for n in range(9)}), implicit=implicit)
    cut_off = whole[: max(0, len(whole) - cut)]
    # When / Then: a sequence is there whole, or not at all
    with contextlib.suppress(RefusedEventError):
        report = read_report(ALL_COMMITTED, STORAGE_COMMITMENT_INSTANCE, cut_off)
        assert not report.committed
        assert len(report.failed) in (0, 9)


@both_encodings
@given(data=st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(implicit, data):
    # When / Then
    with contextlib.suppress(RefusedEventError):
        read_report(ALL_COMMITTED, STORAGE_COMMITMENT_INSTANCE, data)


@both_encodings
@given(place=st.integers(0, 300), damage=st.binary(min_size=1, max_size=4), undefined_length=st.booleans())
def test_a_damaged_report_is_read_or_refused(implicit, place, damage, undefined_length):
    # Given
    ds = report_of("1.2.3", ["1.2.4", "1.2.5"], {"1.2.6": 0x0110}, undefined_length=undefined_length)
    data = bytearray(encoded(ds, implicit=implicit))
    data[place : place + len(damage)] = damage
    # When / Then
    with contextlib.suppress(RefusedEventError):
        read_report(FAILURES_EXIST, STORAGE_COMMITMENT_INSTANCE, bytes(data))


def test_transaction_uids_are_valid_and_differ():
    # When
    made = {new_transaction_uid() for _ in range(100)}
    # Then
    assert len(made) == 100
    assert all(str(Uid.parse("TransactionUID", uid)) == uid for uid in made)


@pytest.mark.parametrize(
    ("status", "permanent"),
    [
        (0x0110, False),
        (0x0213, False),
        (0x0131, False),
        (0xA700, False),
        (0x0112, True),
        (0x0122, True),
        (0x0124, True),
        (0x0211, True),
    ],
)
def test_a_refusal_is_final_where_another_try_gets_the_same(status, permanent):
    # When
    error = action_error(status)
    # Then
    assert error is not None
    assert (error.status_code, error.permanent) == (status, permanent)


@pytest.mark.parametrize("status", [0x0000, 0x0107, 0xB000])
def test_success_and_warnings_are_no_refusal(status):
    # When / Then
    assert action_error(status) is None


def test_failure_reasons_have_a_text():
    # When / Then
    assert reason_text(0x0112) == "0x0112 no such object instance"
    assert reason_text(0x9999) == "0x9999"
    assert reason_text(0) == "no reason given"
