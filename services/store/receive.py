"""The C-STORE SCP: associations in, requests handed to the intake, answers out (PS3.4 annex B).

pynetdicom gives the upper layer and the negotiation; nothing behind `take` knows of it.
"""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

import pydicom.config
import structlog
from pydicom._uid_dict import UID_dictionary
from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu import P_DATA_TF
from pynetdicom.pdu_primitives import A_ASSOCIATE, SOPClassCommonExtendedNegotiation
from pynetdicom.presentation import AllStoragePresentationContexts, build_context

from services.store.intake import DEFECT, Answer, Incoming
from services.store.receive_server import SharedPortServer, StoreServer
from shared.dicom.identifiers import UID_MAX_LENGTH
from shared.dicom.sop_classes import VERIFICATION
from shared.errors import PermanentError

log = structlog.get_logger(__name__)

#: Largest P-DATA-TF that we take (PS3.8 D.1): fewer round trips through the upper layer.
MAX_PDU_BYTES = 131072
#: Associations at once; more are rejected as "local limit exceeded", transient.
MAX_ASSOCIATIONS = 100
#: Seconds for the A-ASSOCIATE-RQ after the connection.
ACSE_TIMEOUT_S = 30.0
#: An association that sends nothing for so long is ended: some senders read from tape between two objects.
IDLE_TIMEOUT_S = 600.0
#: A larger data set ends its association: it is held in memory while it comes.
MAX_OBJECT_BYTES = 2 << 30
#: How often a stop looks at the associations in hand.
_DRAIN_POLL_S = 0.01

#: Error Comment (0000,0902) is an LO.
_ERROR_COMMENT_LENGTH = 64
#: Stands for a UID that a command does not have; no object has it.
_NO_UID = "0"
#: Rejected permanent, by the service user (PS3.8 9.3.4).
_CALLING_AE_TITLE_NOT_RECOGNISED = (1, 1, 3)

#: Events for which pynetdicom has handlers of its own, at the server and at each association.
_DESCRIBED = (evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT, evt.EVT_PDU_RECV, evt.EVT_PDU_SENT)

_STORAGE_SERVICE = "1.2.840.10008.4.2"
_STANDARD = "1.2.840.10008."
#: Composite storage classes of the standard, current and retired, begin so (PS3.6 annex A) ...
_COMPOSITE = "1.2.840.10008.5.1.4.1.1."
#: ... but these there are no objects of a study (PS3.4 annex GG).
_NON_PATIENT = ("1.2.840.10008.5.1.4.1.1.200.", "1.2.840.10008.5.1.4.1.1.201.")
_OTHER_STORAGE = frozenset(str(context.abstract_syntax) for context in AllStoragePresentationContexts)
#: Retired Hardcopy Image Storage classes.
_HARDCOPY = frozenset({"1.2.840.10008.5.1.1.29", "1.2.840.10008.5.1.1.30"})

Take = Callable[[Incoming], Answer]
_Bound = list[tuple[Callable[..., Any], Any]]
#: Decides whether a calling AE title may associate.
Admit = Callable[[str], bool]


def is_storage(abstract_syntax: str) -> bool:
    """Tell whether this SOP class can be stored: composite storage classes, private and unknown ones."""
    if abstract_syntax.startswith(_COMPOSITE):
        return not abstract_syntax.startswith(_NON_PATIENT)
    if abstract_syntax in _OTHER_STORAGE or abstract_syntax in _HARDCOPY:
        return True
    return not abstract_syntax.startswith(_STANDARD) or abstract_syntax not in UID_dictionary


class CannotListenError(PermanentError):
    """The address cannot be listened on: mostly, another program has the port."""


@dataclass(slots=True)
class _Session:
    """What an association has in hand."""

    requests: int = 0
    in_hand: bool = False
    #: It has answered since the stop began: its object in hand then is done.
    finished: bool = False


class StoreScp:
    """Takes associations and hands every C-STORE request to `take`."""

    def __init__(
        self,
        take: Take,
        *,
        ae_title: str,
        host: str,
        port: int,
        stall_timeout_s: float,
        admit: Admit = lambda _calling_ae_title: True,
        share_port: bool = False,
    ) -> None:
        """`port` 0 takes a free one. `share_port`: other processes of the store listen on it, too."""
        self._take = take
        self._admit = admit
        self._host, self._port = host, port
        self._stall_timeout_s = stall_timeout_s
        self._share_port = share_port
        self._sessions: WeakKeyDictionary[Association, _Session] = WeakKeyDictionary()
        self._stopping = False
        self._server: StoreServer | None = None
        self._ae = ApplicationEntity(ae_title)
        self._ae.supported_contexts = [build_context(VERIFICATION)]
        self._ae.maximum_associations = MAX_ASSOCIATIONS
        self._ae.maximum_pdu_size = MAX_PDU_BYTES
        self._ae.acse_timeout = ACSE_TIMEOUT_S
        self._ae.dimse_timeout = stall_timeout_s
        self._ae.network_timeout = IDLE_TIMEOUT_S

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._server.server_address[1]) if self._server else self._port

    def start(self) -> None:
        """Listen; returns at once.

        Raises:
            CannotListenError: the port is taken, or the address is none of this machine.
        """
        # Warnings of pydicom repeat what was received; we validate what we use.
        pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
        server_class = SharedPortServer if self._share_port else StoreServer
        try:
            server = self._ae.make_server((self._host, self._port), server_class=server_class)
        except OSError as error:
            raise CannotListenError(_cannot_listen(self._host, self._port, error)) from error
        self._server = cast("StoreServer", server)
        self._server.stall_timeout_s = self._stall_timeout_s
        self._bind(self._server)
        threading.Thread(target=self._server.serve_forever, name="listener", daemon=True).start()
        log.info("listening", host=self._host, port=self.port, ae_title=self._ae.ae_title)

    def stop(self, grace_s: float) -> None:
        """Stop listening, let each association finish the object in hand, then end them all."""
        if self._server is None:
            return
        self._stopping = True
        self._server.shutdown()
        deadline = time.monotonic() + grace_s
        ending: set[Association] = set()
        while (live := self._established()) and time.monotonic() < deadline:
            for assoc, session in live.items():
                busy = session.in_hand or assoc.dimse.message is not None
                if assoc not in ending and (session.finished or not busy):
                    ending.add(assoc)
                    threading.Thread(target=assoc.abort, name="ending", daemon=True).start()
            time.sleep(_DRAIN_POLL_S)
        for assoc in live:
            log.warning("association cut", calling_ae_title=assoc.requestor.ae_title)
            _cut(assoc)

    def _established(self) -> dict[Association, _Session]:
        """Return the associations that stand; connections on which none stands yet are cut."""
        assert self._server is not None
        live = {}
        for assoc in self._server.active_associations:
            session = self._sessions.get(assoc)
            if session is None:
                _cut(assoc)
            else:
                live[assoc] = session
        return live

    def _bind(self, server: StoreServer) -> None:
        for event in _DESCRIBED:
            for handler, _args in list(cast("_Bound", server.get_handlers(event))):
                server.unbind(event, handler)
        server.bind(evt.EVT_CONN_OPEN, self._on_connected)
        server.bind(evt.EVT_REQUESTED, self._on_requested)
        server.bind(evt.EVT_SOP_COMMON, self._on_sop_common)
        server.bind(evt.EVT_ESTABLISHED, self._on_established)
        server.bind(evt.EVT_PDU_RECV, self._on_pdu_received)
        server.bind(evt.EVT_DIMSE_RECV, self._on_message)
        server.bind(evt.EVT_C_STORE, self._on_c_store)
        server.bind(evt.EVT_PDU_SENT, self._on_pdu_sent)
        server.bind(evt.EVT_CONN_CLOSE, self._on_closed)

    def _on_connected(self, event: evt.Event) -> None:
        """Take away what describes every message for a log that nobody reads, and fails on odd ones."""
        # A connection that asks for nothing must not hold up the end of the process.
        event.assoc.daemon = event.assoc.dul.daemon = True
        ours = {self._on_pdu_received, self._on_message, self._on_pdu_sent}
        for described in _DESCRIBED:
            for handler, _args in list(cast("_Bound", event.assoc.get_handlers(described))):
                if handler not in ours:
                    event.assoc.unbind(described, handler)

    def _on_requested(self, event: evt.Event) -> None:
        """Accept every storage class that is asked for, in the transfer syntaxes that are asked for."""
        assoc = event.assoc
        request = cast("A_ASSOCIATE", assoc.requestor.primitive)
        if not self._admit(str(request.calling_ae_title)):
            log.warning("association rejected", calling_ae_title=request.calling_ae_title)
            assoc.acse.send_reject(*_CALLING_AE_TITLE_NOT_RECOGNISED)
            assoc.kill()
            return
        wanted: dict[str, list[str]] = {}
        for context in request.presentation_context_definition_list:
            abstract_syntax = str(context.abstract_syntax)
            if is_storage(abstract_syntax) or abstract_syntax == VERIFICATION:
                wanted.setdefault(abstract_syntax, []).extend(map(str, context.transfer_syntax))
        assoc.acceptor.supported_contexts = [
            build_context(abstract_syntax, syntaxes) for abstract_syntax, syntaxes in wanted.items()
        ]

    def _on_sop_common(self, event: evt.Event) -> dict[UID, SOPClassCommonExtendedNegotiation]:
        """Tell pynetdicom that all of these are storage, private and unknown ones, too."""
        items = {}
        for context in event.assoc.acceptor.supported_contexts:
            sop_class_uid = UID(str(context.abstract_syntax))
            if sop_class_uid != VERIFICATION:
                item = SOPClassCommonExtendedNegotiation()
                item.sop_class_uid = sop_class_uid
                item.service_class_uid = UID(_STORAGE_SERVICE)
                items[sop_class_uid] = item
        return items

    def _on_established(self, event: evt.Event) -> None:
        self._sessions[event.assoc] = _Session()
        log.info(
            "association",
            calling_ae_title=event.assoc.requestor.ae_title,
            address=event.assoc.requestor.address,
            contexts=len(event.assoc.accepted_contexts),
        )

    def _on_pdu_received(self, event: evt.Event) -> None:
        message = event.assoc.dimse.message
        if message is not None and message.data_set and message.data_set.tell() > MAX_OBJECT_BYTES:
            log.warning("object too large", calling_ae_title=event.assoc.requestor.ae_title)
            event.assoc.abort()

    def _on_message(self, event: evt.Event) -> None:
        session = self._sessions.get(event.assoc)
        if session is not None:
            session.requests += 1
            session.in_hand = True
        if isinstance(event.message, C_STORE_RQ):
            _make_answerable(event.message.command_set)

    def _on_c_store(self, event: evt.Event) -> int | Dataset:
        request = cast("C_STORE", event.request)
        try:
            answer = self._take(
                Incoming(
                    sop_class_uid=str(request.AffectedSOPClassUID),
                    sop_instance_uid=str(request.AffectedSOPInstanceUID),
                    transfer_syntax_uid=str(event.context.transfer_syntax),
                    calling_ae_title=event.assoc.requestor.ae_title,
                    data_set=request.DataSet.getbuffer() if request.DataSet else b"",
                )
            )
        except Exception:
            log.exception("request not handled")
            answer = Answer(DEFECT, "internal error")
        return _status(answer)

    def _on_pdu_sent(self, event: evt.Event) -> None:
        session = self._sessions.get(event.assoc)
        if session is not None and isinstance(event.pdu, P_DATA_TF):
            session.in_hand = False
            session.finished = self._stopping

    def _on_closed(self, event: evt.Event) -> None:
        session = self._sessions.pop(event.assoc, None)
        if session is not None:
            log.info(
                "association ended",
                calling_ae_title=event.assoc.requestor.ae_title,
                requests=session.requests,
                released=event.assoc.is_released,
            )


def _status(answer: Answer) -> int | Dataset:
    if not answer.comment:
        return answer.status_code
    status = Dataset()
    status.Status = answer.status_code
    status.ErrorComment = answer.comment[:_ERROR_COMMENT_LENGTH]
    return status


def _make_answerable(command: Dataset) -> None:
    """Replace UIDs for which pynetdicom would abort or stay silent; the intake refuses what is left."""
    for keyword in ("AffectedSOPClassUID", "AffectedSOPInstanceUID"):
        uid = str(command.get(keyword) or "")
        if not 0 < len(uid) <= UID_MAX_LENGTH:
            setattr(command, keyword, uid[:UID_MAX_LENGTH] or _NO_UID)


def _cut(assoc: Association) -> None:
    connection = assoc.dul.socket.socket if assoc.dul.socket else None
    if connection is not None:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{host}:{port} is taken by another program; choose another DOSEQR_STORE_PORT or end that program"
        )
    return f"cannot listen on {host}:{port}: {error.strerror or type(error).__name__}"
