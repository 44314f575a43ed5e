"""Reports on storage commitments that a store node sends on an association of its own (PS3.4 J.3.3).

There the node is the SCP, though it requests the association, and we are the SCU (PS3.7 D.3.3.4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog
from sqlalchemy import select

from services.store.store_object import StoreResponse
from shared.clock import Clock, utc_now
from shared.database.models import CommitmentReport, RetrieveCommitment
from shared.database.session import Database
from shared.database.upsert import insert_missing
from shared.dicom.sop_classes import STORAGE_COMMITMENT
from shared.dicom.storage_commitment.messages import (
    INVALID_ARGUMENT,
    RESOURCE_LIMITATION,
    SUCCESS,
    CommitmentResult,
    RefusedEventError,
    read_report,
)
from shared.dicom.upper_layer.associate_acceptor import (
    AcceptedContext,
    AssociateRequest,
    ProposedContext,
)
from shared.dicom.upper_layer.associate_requestor import TRANSFER_SYNTAXES
from shared.dicom.upper_layer.roles import Roles
from shared.errors import DatabaseAwayError

log = structlog.get_logger(__name__)

#: No report is longer: one on the objects of one request has some tens of thousand bytes.
REPORT_MAX_BYTES = 1 << 20

#: The state of a transaction on which a report is waited for.
_REQUESTED = "asked"


@dataclass(frozen=True, slots=True)
class CommitmentEvent:
    """An N-EVENT-REPORT as it came: nothing of it is validated."""

    event_type_id: int | None
    sop_instance_uid: str
    calling_ae_title: str
    data_set: bytes


def takes_reports(request: AssociateRequest) -> bool:
    """Return whether the requestor may be the SCP of storage commitment; many do not propose the role."""
    proposed = request.roles.get(STORAGE_COMMITMENT)
    return proposed is None or proposed.scp


def readable(request: AssociateRequest) -> AssociateRequest:
    """Return the request with those transfer syntaxes of storage commitment that a report can be read in."""
    return replace(request, contexts=tuple(_readable(context) for context in request.contexts))


def _readable(context: ProposedContext) -> ProposedContext:
    if context.abstract_syntax != STORAGE_COMMITMENT:
        return context
    syntaxes = tuple(
        transfer_syntax
        for transfer_syntax in context.transfer_syntaxes
        if transfer_syntax in TRANSFER_SYNTAXES
    )
    return replace(context, transfer_syntaxes=syntaxes)


def accepted_roles(request: AssociateRequest, contexts: Mapping[int, AcceptedContext]) -> dict[str, Roles]:
    """Return the response to the roles proposed for storage commitment: the requestor is SCP alone."""
    agreed = any(context.abstract_syntax == STORAGE_COMMITMENT for context in contexts.values())
    proposed = STORAGE_COMMITMENT in request.roles
    return {STORAGE_COMMITMENT: Roles(scu=False, scp=True)} if agreed and proposed else {}


class ReportKeeper:
    """Keeps the report on each transaction that a retrieve waits for; safe for many threads."""

    def __init__(
        self, database: Database, count: Callable[[str], None] = lambda _name: None, clock: Clock = utc_now
    ) -> None:
        self._database = database
        self._count = count
        self._clock = clock

    def take(self, event: CommitmentEvent) -> StoreResponse:
        """Keep a report before the response of success; the same again changes nothing."""
        try:
            report = read_report(
                event.event_type_id,
                event.sop_instance_uid,
                event.data_set,
            )
            what = self._keep(report, event.calling_ae_title) if self._is_open(report) else "late"
        except RefusedEventError as refused:
            return self._refuse(event, refused)
        except DatabaseAwayError:
            return self._refuse(event, RefusedEventError(RESOURCE_LIMITATION, "the database is away"))
        self._count("commitment_reports")
        log.info(
            "report on a storage commitment",
            transaction_uid=report.transaction_uid,
            calling_ae_title=event.calling_ae_title,
            committed=len(report.committed),
            failed=len(report.failed),
            what=what,
        )
        return StoreResponse(SUCCESS)

    def _is_open(self, report: CommitmentResult) -> bool:
        """Return whether somebody waits for it; nothing is written for an unknown transaction."""
        which = RetrieveCommitment.transaction_uid == report.transaction_uid
        with self._database.read() as session:
            state = session.scalar(select(RetrieveCommitment.state).where(which))
        if state is None:
            raise RefusedEventError(INVALID_ARGUMENT, "the transaction is not known here")
        return state == _REQUESTED

    def _keep(self, report: CommitmentResult, calling_ae_title: str) -> str:
        row = {
            "transaction_uid": report.transaction_uid,
            "calling_ae_title": calling_ae_title,
            "committed": sorted(report.committed),
            "failed": dict(report.failed),
            "received_at": self._clock(),
        }
        with self._database.write() as session:
            return "kept" if insert_missing(session, CommitmentReport, [row]) else "known"

    def _refuse(self, event: CommitmentEvent, refused: RefusedEventError) -> StoreResponse:
        self._count("refused_reports")
        log.warning(
            "report on a storage commitment refused",
            calling_ae_title=event.calling_ae_title,
            status=f"0x{refused.status_code:04X}",
            problem=str(refused),
        )
        return StoreResponse(refused.status_code, str(refused))
