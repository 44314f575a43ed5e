"""One association with a sender: its requests in, responses out (PS3.8 chapter 9, PS3.4 annex B)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from services.store.objects.incoming_data_set import IncomingDataSet
from services.store.objects.temp_file import TempFile
from services.store.scp.commitment_reports import REPORT_MAX_BYTES, CommitmentEvent
from services.store.scp.config import Terms
from services.store.scp.dimse import (
    SOP_CLASS_NOT_SUPPORTED,
    UNRECOGNIZED_OPERATION,
    DimseRequest,
    request_of,
    response_to,
)
from services.store.scp.negotiation import UnexpectedPduError, accept, read_request, refusal_of, reject
from services.store.store_object import DEFECT, CStoreCommand, CStoreRequest, StoreResponse, shown_ae_title
from shared.dicom.sop_classes import STORAGE_COMMITMENT, VERIFICATION
from shared.dicom.storage_commitment.messages import PROCESSING_FAILURE
from shared.dicom.upper_layer.associate_acceptor import AcceptedContext
from shared.dicom.upper_layer.associate_requestor import AssociateReject
from shared.dicom.upper_layer.connection import DRAIN_S, AbortedError, Connection
from shared.dicom.upper_layer.dimse_command import C_CANCEL_RQ, C_ECHO_RQ, C_STORE_RQ, N_EVENT_REPORT_RQ
from shared.dicom.upper_layer.dimse_message import DimseMessage, MessageAssembler
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import (
    A_ABORT,
    A_RELEASE_RQ,
    INVALID_PARAMETER,
    P_DATA_TF,
    RELEASE_RP,
    SERVICE_PROVIDER,
    SERVICE_USER,
    UNEXPECTED_PDU,
    Pdv,
    a_abort,
    p_data,
    pdvs_of,
)
from shared.dicom.upper_layer.receive_rate import ReceiveRate

log = structlog.get_logger(__name__)


class StoreAssociation:
    """Serves one connection from its request for an association to its end."""

    def __init__(self, connection: Connection, address: str, terms: Terms) -> None:
        self._connection = connection
        self.address = address
        self._terms = terms
        self._pace = ReceiveRate(terms.stall_s)
        self._contexts: dict[int, AcceptedContext] = {}
        self._maximum_length = 0
        self._calling_ae_title = ""
        self._assembler = MessageAssembler(self._data_set_of)
        self._request: DimseRequest | None = None
        self._arriving: IncomingDataSet | None = None
        self._requests = 0
        self._released = False
        # Of these, others know, too.
        self._lock = threading.Lock()
        self._receiving = False
        self._ended = False
        self._is_last = False
        self._idle_since = time.monotonic()

    # For others

    def end_if_idle(self, idle_s: float = 0.0) -> bool:
        """End it if it has been idle for `idle_s` seconds, with no request in hand; return whether it was."""
        with self._lock:
            if self._receiving or self._ended or time.monotonic() - self._idle_since < idle_s:
                return False
            self._ended = True
        self._connection.end(a_abort(SERVICE_USER) if self._contexts else b"")
        return True

    def end_after_this(self) -> bool:
        """End it after the response to the request in hand; return True if there is none."""
        self._is_last = True
        return self.end_if_idle()

    def cut(self) -> None:
        """End the connection whatever is in hand."""
        log.warning("association cut", calling_ae_title=self._calling_ae_title)
        self._connection.end()

    @property
    def ended(self) -> bool:
        """Whether others have ended it; its thread may still be about to."""
        return self._ended

    @property
    def established(self) -> bool:
        """Whether its sender was accepted."""
        return bool(self._contexts)

    @property
    def idle_since(self) -> float:
        """Since when no request is in hand, in monotonic seconds."""
        return self._idle_since

    # Its own thread

    def serve(self) -> None:
        """Serve it to its end; whatever the sender does wrong ends in an A-ABORT."""
        try:
            if self._establish():
                self._take_requests()
        except AbortedError as error:
            log.debug("connection lost", address=self.address, reason=str(error))
        except TimeoutError:
            self._terms.bad_connections.warning(
                "timed out", address=self.address, calling_ae_title=self._calling_ae_title
            )
            self._abort(SERVICE_USER)
        except ProtocolError as error:
            self._refuse(error)
        finally:
            self._close()

    def reject(self, rejected: AssociateReject, within_s: float) -> None:
        """Reject a request that comes in time; `serve` is not called then."""
        try:
            request = read_request(self._connection, self._terms, within_s)
            reject(self._connection, request, rejected, self.address, self._terms.bad_connections)
        except (TimeoutError, ProtocolError) as error:
            log.debug("not rejected", address=self.address, reason=type(error).__name__)
        finally:
            self._connection.close()

    def _refuse(self, error: ProtocolError) -> None:
        self._terms.count("protocol_errors")
        self._terms.bad_connections.warning(
            "protocol error",
            address=self.address,
            calling_ae_title=self._calling_ae_title,
            problem=str(error),
        )
        unexpected = isinstance(error, UnexpectedPduError)
        self._abort(SERVICE_PROVIDER, UNEXPECTED_PDU if unexpected else INVALID_PARAMETER)

    def _close(self) -> None:
        if self._arriving is not None:
            self._arriving.discard()
        self._connection.close()
        if self._contexts:
            log.info(
                "association ended",
                calling_ae_title=self._calling_ae_title,
                requests=self._requests,
                released=self._released,
            )

    def _establish(self) -> bool:
        request = read_request(self._connection, self._terms, self._terms.associate_s)
        self._calling_ae_title = shown_ae_title(request.calling_ae_title)
        rejected = refusal_of(request, self._terms)
        if rejected is not None:
            reject(self._connection, request, rejected, self.address, self._terms.bad_connections)
            return False
        self._maximum_length = request.maximum_length
        self._contexts = accept(self._connection, request, self._terms)
        log.info(
            "association",
            calling_ae_title=self._calling_ae_title,
            address=self.address,
            contexts=len(self._contexts),
        )
        return True

    def _take_requests(self) -> None:
        while not self._ended:
            kind, body = self._connection.pdu(self._pace, None if self._receiving else self._terms.idle_s)
            if kind == P_DATA_TF:
                if not body:
                    raise ProtocolError("a P-DATA-TF PDU without a presentation data value")
                for pdv in pdvs_of(body):
                    self._take(pdv)
            elif kind == A_RELEASE_RQ:
                self._released = True
                self._connection.send(RELEASE_RP, self._terms.stall_s)
                self._connection.drain(DRAIN_S)
                return
            elif kind == A_ABORT:
                return
            else:
                raise UnexpectedPduError(f"a PDU of type {kind:02X}H within an association")
            if self._is_last and not self._receiving:
                self._abort(SERVICE_USER)
                return

    def _take(self, pdv: Pdv) -> None:
        if not self._assembler.in_progress:
            self._begin(pdv)
        message = self._assembler.add(pdv)
        if message is not None:
            self._finish(message)

    def _begin(self, pdv: Pdv) -> None:
        if pdv.context_id not in self._contexts:
            raise ProtocolError("a fragment of a presentation context that was not accepted")
        with self._lock:
            self._receiving = True

    def _data_set_of(self, context_id: int, command: Mapping[int, bytes]) -> IncomingDataSet:
        """Return what takes the data set of a request."""
        request = self._request = request_of(command)
        is_object = request.command_field == C_STORE_RQ
        limit_bytes = self._terms.max_object_bytes if is_object else REPORT_MAX_BYTES
        syntax = self._contexts[context_id].transfer_syntax
        leave_out = self._terms.leave_out(syntax) if is_object else None
        self._arriving = IncomingDataSet(
            self._part_opener(request, context_id), limit_bytes, syntax, leave_out
        )
        return self._arriving

    def _part_opener(self, request: DimseRequest, context_id: int) -> Callable[[], TempFile] | None:
        open_temp_file = self._terms.open_temp_file
        if open_temp_file is None or request.command_field != C_STORE_RQ:
            return None
        announced = CStoreCommand(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=self._contexts[context_id].transfer_syntax,
            calling_ae_title=self._calling_ae_title,
        )
        return lambda: open_temp_file(announced)

    def _finish(self, message: DimseMessage) -> None:
        """Respond to a request that is complete."""
        self._requests += 1
        request = self._request or request_of(message.command)
        if self._arriving is not None:
            self._arriving.end()
        response = self._response_to(request, self._contexts[message.context_id])
        if self._arriving is not None:
            self._arriving.discard()
        self._request = self._arriving = None
        # Before the response is sent: the sender that got its response first has been idle longest.
        self._idle_since = time.monotonic()
        if response is not None:
            encoded = response_to(request, response.status_code, response.comment)
            pdus = p_data(message.context_id, encoded, is_command=True, maximum_length=self._maximum_length)
            self._connection.send(pdus, self._terms.stall_s)
        with self._lock:
            self._receiving = False

    def _response_to(self, request: DimseRequest, context: AcceptedContext) -> StoreResponse | None:
        if request.command_field == C_CANCEL_RQ:
            return None
        if request.command_field == C_ECHO_RQ:
            return StoreResponse(0x0000)
        if request.command_field == N_EVENT_REPORT_RQ and context.abstract_syntax == STORAGE_COMMITMENT:
            return self._report(request)
        if request.command_field != C_STORE_RQ:
            return StoreResponse(UNRECOGNIZED_OPERATION, "only C-STORE and C-ECHO are served")
        if context.abstract_syntax in (VERIFICATION, STORAGE_COMMITMENT):
            return StoreResponse(SOP_CLASS_NOT_SUPPORTED, "no storage class was agreed for this context")
        return self._store(request, context)

    def _store(self, request: DimseRequest, context: AcceptedContext) -> StoreResponse:
        arrived = self._arriving
        incoming = CStoreRequest(
            sop_class_uid=request.sop_class_uid,
            sop_instance_uid=request.sop_instance_uid,
            transfer_syntax_uid=arrived.transfer_syntax_uid if arrived else context.transfer_syntax,
            calling_ae_title=self._calling_ae_title,
            data_set=arrived.data() if arrived else b"",
            temp_file=arrived.temp_file if arrived else None,
            problem=arrived.problem if arrived else None,
        )
        return self._taken(lambda: self._terms.take(incoming), DEFECT)

    def _report(self, request: DimseRequest) -> StoreResponse:
        take_report = self._terms.take_report
        assert take_report is not None
        event = CommitmentEvent(
            event_type_id=request.event_type_id,
            sop_instance_uid=request.sop_instance_uid,
            calling_ae_title=self._calling_ae_title,
            data_set=bytes(self._arriving.data()) if self._arriving else b"",
        )
        return self._taken(lambda: take_report(event), PROCESSING_FAILURE)

    def _taken(self, take: Callable[[], StoreResponse], defect: int) -> StoreResponse:
        try:
            return take()
        except Exception:
            log.exception("request not handled")
            self._terms.count("defects")
            return StoreResponse(defect, "internal error")

    def _abort(self, source: int, reason: int = 0) -> None:
        with suppress(TimeoutError, AbortedError):
            self._connection.send(a_abort(source, reason), DRAIN_S)
            self._connection.drain(DRAIN_S)
