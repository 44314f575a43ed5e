"""How an association begins: its request is read, and accepted or rejected (PS3.8 9.3.2 to 9.3.4)."""

from __future__ import annotations

import time

from services.store.scp.commitment_reports import accepted_roles, readable, takes_reports
from services.store.scp.config import Terms
from services.store.scp.log_budget import LogBudget
from services.store.store_object import shown_ae_title
from shared.dicom.implementation import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from shared.dicom.sop_classes import STORAGE_COMMITMENT, VERIFICATION, is_storage
from shared.dicom.upper_layer.associate_acceptor import (
    CALLING_AE_TITLE_NOT_RECOGNIZED,
    AcceptedContext,
    AssociateRequest,
    associate_ac,
    associate_rj,
    decode_rq,
    negotiate,
)
from shared.dicom.upper_layer.associate_requestor import AssociateReject, Implementation
from shared.dicom.upper_layer.connection import DRAIN_S, Connection
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import A_ASSOCIATE_RQ

#: Largest P-DATA-TF that we take (PS3.8 D.1): fewer reads for each object.
MAX_PDU_BYTES = 131072

_IMPLEMENTATION = Implementation(IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME)


class UnexpectedPduError(ProtocolError):
    """A PDU of the standard where none of its kind may come."""


def read_request(connection: Connection, terms: Terms, within_s: float) -> AssociateRequest:
    """Read the request for an association, after the TLS handshake if there is to be one.

    Raises:
        AbortedError: the connection is closed.
        TimeoutError: it did not come in time.
        ProtocolError: something else came.
    """
    deadline = time.monotonic() + within_s
    if terms.tls is not None:
        connection.secure(terms.tls(), within_s)
    kind, body = connection.pdu_until(deadline)
    if kind != A_ASSOCIATE_RQ:
        raise UnexpectedPduError("something other than a request for an association")
    return decode_rq(body)


def refusal_of(request: AssociateRequest, terms: Terms) -> AssociateReject | None:
    """Return why a request is to be rejected, or None."""
    if request.problem is not None:
        return request.problem
    if not terms.admit(request.calling_ae_title):
        terms.count("rejected_calling_ae_title")
        return CALLING_AE_TITLE_NOT_RECOGNIZED
    return None


def accept(connection: Connection, request: AssociateRequest, terms: Terms) -> dict[int, AcceptedContext]:
    """Accept every proposed storage class, in the first proposed transfer syntax, and reports.

    Raises:
        AbortedError: the connection is closed.
        TimeoutError: the sender takes no bytes.
    """
    reports = terms.take_report is not None and takes_reports(request)
    served = {VERIFICATION, STORAGE_COMMITMENT} if reports else {VERIFICATION}
    contexts, results = negotiate(readable(request), lambda uid: uid in served or is_storage(uid))
    roles = accepted_roles(request, contexts)
    connection.send(
        associate_ac(request, contexts, results, MAX_PDU_BYTES, _IMPLEMENTATION, roles), terms.stall_s
    )
    terms.count("associations_begun")
    return contexts


def reject(
    connection: Connection,
    request: AssociateRequest,
    rejected: AssociateReject,
    address: str,
    bad_connections: LogBudget,
) -> None:
    """Send the sender the reason of its rejection, and wait a moment for it to close (ARTIM, PS3.8 9.1.5).

    Raises:
        AbortedError: the connection is closed.
        TimeoutError: the sender takes no bytes.
    """
    bad_connections.warning(
        "association rejected",
        calling_ae_title=shown_ae_title(request.calling_ae_title),
        address=address,
        result=rejected.result,
        source=rejected.source,
        reason=rejected.reason,
    )
    connection.send(associate_rj(rejected), DRAIN_S)
    connection.drain(DRAIN_S)
