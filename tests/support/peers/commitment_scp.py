"""A store node that commits to what it holds, over pynetdicom, and does so in any of the ways there are."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pynetdicom import build_role, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association

from shared.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from shared.dicom.storage_commitment.messages import ALL_COMMITTED, FAILURES_EXIST, NO_SUCH_INSTANCE
from tests.support.peers.storage_scp import StoreScp

#: Ways to report: on the association of the request, on one of its own, or not at all.
SAME, NEW, SILENT = "same", "new", "silent"


@dataclass(frozen=True)
class CommitmentRequest:
    """One request for storage commitment."""

    transaction_uid: str
    references: dict[str, str] = field(default_factory=dict)


def report_data_set(transaction_uid: str, committed: dict[str, str], failed: dict[str, int]) -> Dataset:
    """Return the event information of a report: SOP classes, or Failure Reasons, by SOP Instance UID."""
    ds = Dataset()
    ds.TransactionUID = transaction_uid
    if committed:
        ds.ReferencedSOPSequence = DicomSequence(
            [_reference(uid, sop_class) for uid, sop_class in committed.items()]
        )
    if failed:
        ds.FailedSOPSequence = DicomSequence()
        for uid, reason in failed.items():
            item = _reference(uid, "1.2.840.10008.5.1.4.1.1.2")
            item.FailureReason = reason
            ds.FailedSOPSequence.append(item)
    return ds


def _reference(uid: str, sop_class_uid: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = sop_class_uid
    item.ReferencedSOPInstanceUID = uid
    return item


def send_report(
    port: int, report: Dataset, event_type_id: int, *, calling_ae_title: str = "STORE", role: bool = True
) -> int | None:
    """Report on an association of its own, as the SCP; return the status of the response."""
    ae = ApplicationEntity(ae_title=calling_ae_title)
    ae.add_requested_context(STORAGE_COMMITMENT)
    roles: Any = [build_role(STORAGE_COMMITMENT, scp_role=True)] if role else []
    assoc = ae.associate("127.0.0.1", port, ae_title="DOSEQR", ext_neg=roles)
    assert assoc.is_established
    try:
        status, _ = assoc.send_n_event_report(
            report, event_type_id, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
        )
    finally:
        assoc.release()
    code: int | None = status.get("Status")
    return code


class CommittingStore(StoreScp):
    """Takes objects, and commits to those that it holds; everything about it can be changed."""

    def __init__(self, way: str = SAME, *, reports_to: int = 0) -> None:
        """`reports_to`: the port of our store, for reports on associations of their own."""
        super().__init__()
        self.way = way
        self.reports_to = reports_to
        #: Status of the N-ACTION response, by the number of the request.
        self.action_status: Callable[[int], int] = lambda _number: 0x0000
        #: Objects that it holds and does not commit to, with the Failure Reason.
        self.failing: dict[str, int] = {}
        #: May change what is reported.
        self.edit: Callable[[Dataset], Dataset] = lambda report: report
        #: How often each report is sent.
        self.times = 1
        self.requests: list[CommitmentRequest] = []
        self.statuses: list[int | None] = []
        self.reports: list[Dataset] = []
        self._threads: list[threading.Thread] = []
        self._ae.add_supported_context(STORAGE_COMMITMENT)

    def handlers(self) -> list[Any]:
        return [(evt.EVT_N_ACTION, self._action)]

    def stop(self) -> None:
        for thread in self._threads:
            thread.join(10)
        super().stop()

    def _action(self, event: evt.Event) -> tuple[int, Dataset | None]:
        information = event.action_information
        references = {
            str(item.ReferencedSOPInstanceUID): str(item.ReferencedSOPClassUID)
            for item in information.ReferencedSOPSequence
        }
        request = CommitmentRequest(str(information.TransactionUID), references)
        self.requests.append(request)
        status = self.action_status(len(self.requests))
        if status == 0 and self.way != SILENT:
            thread = threading.Thread(target=self._report, args=(request, event.assoc), daemon=True)
            self._threads.append(thread)
            thread.start()
        return status, None

    def report_on(self, request: CommitmentRequest) -> tuple[Dataset, int]:
        """Return its report on a request, and the event type."""
        held = self.uids
        failed = {uid: NO_SUCH_INSTANCE for uid in request.references if uid not in held} | {
            uid: reason for uid, reason in self.failing.items() if uid in request.references
        }
        committed = {
            uid: sop_class_uid for uid, sop_class_uid in request.references.items() if uid not in failed
        }
        report = self.edit(report_data_set(request.transaction_uid, committed, failed))
        return report, FAILURES_EXIST if failed else ALL_COMMITTED

    def _report(self, request: CommitmentRequest, assoc: Association) -> None:
        report, event_type_id = self.report_on(request)
        for _ in range(self.times):
            self.reports.append(report)
            if self.way == NEW:
                self.statuses.append(send_report(self.reports_to, report, event_type_id))
            else:
                status, _ = assoc.send_n_event_report(
                    report, event_type_id, STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
                )
                self.statuses.append(status.get("Status"))
