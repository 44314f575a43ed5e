"""Reports on storage commitments at our store: roles, nonsense, and what is kept of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from pynetdicom import build_role
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dsutils import encode
from sqlalchemy import select

from shared.clock import utc_now
from shared.database.models import CommitmentReport, RetrieveCommitment
from shared.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE, VERIFICATION
from shared.dicom.storage_commitment.messages import ALL_COMMITTED, FAILURES_EXIST, new_transaction_uid
from tests.support.jobs.rows import a_query, a_retrieve
from tests.support.peers.commitment_scp import report_data_set, send_report
from tests.support.peers.storage_scu import IMPLICIT, Context, element
from tests.support.services.store import CT, CT_EXPLICIT, RunningStore, made_object, running_store

COMMITMENT: Context = (STORAGE_COMMITMENT, (IMPLICIT,))
N_EVENT_REPORT, N_ACTION = 0x0100, 0x0130


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("commitment") / "data") as running:
        with running.database.write() as session:
            session.add(a_query())
            session.flush()
            session.add(a_retrieve())
        yield running


def requested_commitment(store: RunningStore, state: str = "asked") -> str:
    """Let a retrieve have requested a commitment; return its transaction."""
    uid = new_transaction_uid()
    with store.database.write() as session:
        session.add(
            RetrieveCommitment(
                transaction_uid=uid,
                job_id="retrieve-1",
                task_id=1,
                state=state,
                objects=2,
                asked_at=utc_now(),
            )
        )
    return uid


def kept(store: RunningStore, uid: str) -> CommitmentReport | None:
    with store.database.read() as session:
        which = CommitmentReport.transaction_uid == uid
        return session.scalars(select(CommitmentReport).where(which)).one_or_none()


@pytest.mark.parametrize("role", [True, False], ids=["as SCP", "without a role"])
def test_a_report_on_what_was_requested_is_kept(store, role):
    # Given
    uid = requested_commitment(store)
    report = report_data_set(uid, {"1.2.3": CT}, {"1.2.4": 0x0112})
    # When
    status = send_report(store.port, report, FAILURES_EXIST, calling_ae_title="ARCHIVE", role=role)
    # Then
    row = kept(store, uid)
    assert status == 0x0000
    assert row is not None
    assert (row.committed, row.failed, row.calling_ae_title) == (["1.2.3"], {"1.2.4": 0x0112}, "ARCHIVE")


def test_the_first_of_two_reports_counts(store):
    # Given
    uid = requested_commitment(store)
    send_report(store.port, report_data_set(uid, {"1.2.3": CT}, {}), ALL_COMMITTED)
    # When
    status = send_report(store.port, report_data_set(uid, {}, {"1.2.3": 0x0110}), FAILURES_EXIST)
    # Then
    row = kept(store, uid)
    assert status == 0x0000
    assert row is not None
    assert (row.committed, row.failed) == (["1.2.3"], {})


@pytest.mark.parametrize("state", ["answered", "unanswered", "refused"])
def test_a_late_report_gets_a_response_and_is_not_kept(store, state):
    # Given
    uid = requested_commitment(store, state)
    # When
    status = send_report(store.port, report_data_set(uid, {"1.2.3": CT}, {}), ALL_COMMITTED)
    # Then
    assert status == 0x0000
    assert kept(store, uid) is None


@pytest.mark.parametrize(
    ("scu", "scp", "accepted"), [(False, True, True), (True, True, True), (True, False, False)]
)
def test_the_requestor_has_to_be_the_scp_if_it_negotiates_a_role(store, scu, scp, accepted):
    # Given
    ae = ApplicationEntity(ae_title="ARCHIVE")
    ae.add_requested_context(STORAGE_COMMITMENT)
    ae.add_requested_context(VERIFICATION)
    role = build_role(STORAGE_COMMITMENT, scu_role=scu, scp_role=scp)
    # When
    assoc = ae.associate("127.0.0.1", store.port, ext_neg=[role])
    # Then
    found = {str(context.abstract_syntax): context for context in assoc.accepted_contexts}
    assoc.release()
    assert (STORAGE_COMMITMENT in found) == accepted
    if accepted:
        assert (found[STORAGE_COMMITMENT].as_scu, found[STORAGE_COMMITMENT].as_scp) == (False, True)


@pytest.mark.parametrize(
    ("syntaxes", "chosen"),
    [
        (("1.2.840.10008.1.2.2", IMPLICIT), IMPLICIT),
        (("1.2.840.10008.1.2.1", IMPLICIT), "1.2.840.10008.1.2.1"),
        (("1.2.840.10008.1.2.2",), None),
        (("1.2.840.10008.1.2.4.50",), None),
    ],
)
def test_only_what_can_be_read_is_agreed_on(store, syntaxes, chosen):
    # Given
    context = (STORAGE_COMMITMENT, syntaxes)
    # When
    with store.scu(context, CT_EXPLICIT) as scu:
        agreed = scu.accepted.get(context)
    # Then
    assert (agreed[1] if agreed else None) == chosen


def command(field: int, message_id: int, *, event_type_id: int = 1) -> bytes:
    parts = element(0x0002, STORAGE_COMMITMENT.encode())
    parts += element(0x0100, struct.pack("<H", field)) + element(0x0110, struct.pack("<H", message_id))
    parts += element(0x0800, struct.pack("<H", 1)) + element(0x1000, STORAGE_COMMITMENT_INSTANCE.encode())
    parts += element(0x1002, struct.pack("<H", event_type_id))
    return element(0, struct.pack("<L", len(parts))) + parts


@pytest.mark.parametrize(
    ("field", "data_set", "event_type_id", "status"),
    [
        (N_EVENT_REPORT, b"", 1, 0x0115),
        (N_EVENT_REPORT, b"\x08\x00\x95\x11\xff\xff\xff\x7f", 1, 0x0110),
        (N_EVENT_REPORT, b"nonsense", 1, 0x0110),
        (N_EVENT_REPORT, b"", 7, 0x0113),
        (N_EVENT_REPORT, bytes(2 << 20), 1, 0x0115),
        (N_ACTION, b"", 1, 0x0211),
        (0x0001, b"", 1, 0x0122),
    ],
    ids=["empty", "cut off", "nonsense", "unknown event", "2 MiB", "N-ACTION", "C-STORE"],
)
def test_nonsense_is_refused_and_the_store_goes_on(store, field, data_set, event_type_id, status):
    # Given
    with store.scu(COMMITMENT, CT_EXPLICIT) as scu:
        context_id = scu.accepted[COMMITMENT][0]
        # When
        scu.send_fragments(context_id, 1, command(field, 1, event_type_id=event_type_id))
        scu.send_fragments(context_id, 0, data_set)
        # Then
        assert scu.receive_response()[0] == status
        scu.release()
    assert store.send(made_object(1)) == [0]


def test_a_report_in_the_context_of_a_storage_class_is_refused(store):
    # Given
    report = encode(report_data_set(requested_commitment(store), {}, {}), False, True)
    with store.scu(CT_EXPLICIT) as scu:
        context_id = scu.accepted[CT_EXPLICIT][0]
        # When
        scu.send_fragments(context_id, 1, command(N_EVENT_REPORT, 1))
        scu.send_fragments(context_id, 0, report)
        # Then
        assert scu.receive_response()[0] == 0x0211
