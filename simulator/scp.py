"""The scripted PACS itself: listens, negotiates and can be changed while it runs."""

import itertools
import socket
import ssl
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from socketserver import BaseServer
from typing import Any, Self, cast

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.ae import ApplicationEntity
from pynetdicom.dimse_primitives import DimseServiceType
from pynetdicom.presentation import PresentationContext, build_context

from simulator.archive.model import Archive, Study, StudyList
from simulator.behaviour import REJECTIONS, Behaviour, Fault
from simulator.content import WITHOUT_BULK_DATA
from simulator.dispatch import Services
from simulator.faults import FaultBook, RequestDetails
from simulator.network.connection import ConnectionLostError, PacsServer, ServedConnection
from simulator.query.c_find import strike_down
from simulator.witness import Witness

VERIFICATION = "1.2.840.10008.1.1"
_STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2"
_PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1"
_STORAGE_PREFIX = "1.2.840.10008.5.1.4.1.1."
_SERVICE_SUFFIXES = {"find": ".1", "move": ".2", "get": ".3"}
_SYNTAXES: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_POLL_S = 0.02
_JOIN_S = 10.0


class ScriptedPacs:
    """A PACS that holds an archive and behaves as described.

    `destinations` maps AE titles to (host, port) and may be changed at any time; a C-MOVE to any other title
    gets `unknown_destination_status`. With port 0 the system chooses one: see `port` then.
    """

    def __init__(
        self,
        archive: Archive | Iterable[Study] = (),
        behaviour: Behaviour | None = None,
        *,
        ae_title: str = "SCRIPTED",
        host: str = "127.0.0.1",
        port: int = 0,
        destinations: Mapping[str, tuple[str, int]] | None = None,
        log: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.archive: Archive = (
            cast("Archive", archive) if hasattr(archive, "study_of_series") else StudyList(archive)
        )
        self.ae_title = ae_title
        self.host = host
        self.port = port
        self.destinations: dict[str, tuple[str, int]] = dict(destinations or {})
        self.witness = Witness(log)
        self.stopping = threading.Event()
        self._book = FaultBook(behaviour or Behaviour())
        self._services = Services(
            self.archive, self._book, self.witness, ae_title, self.destinations, self.stopping
        )
        self._ssl_context = ssl_context
        self._ae = ApplicationEntity(ae_title=ae_title)
        self._numbers = itertools.count(1)
        self._connections: set[ServedConnection] = set()
        self._lock = threading.Lock()
        self._server: PacsServer | None = None
        self._thread: threading.Thread | None = None

    # Behaviour

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force."""
        return self._book.behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._book.replace(behaviour)

    def change(self, **traits: Any) -> None:
        """Change some traits while the PACS runs; a request that is being served keeps what it began with."""
        current = {name: getattr(self.behaviour, name) for name in Behaviour.model_fields}
        self.behaviour = Behaviour(**{**current, **traits})

    def add_fault(self, fault: Fault | None = None, **fields: Any) -> None:
        """Add a fault, given whole or by its fields."""
        self.change(faults=(*self.behaviour.faults, fault or Fault(**fields)))

    @property
    def faults_struck(self) -> int:
        """How often faults have struck so far."""
        return self._book.struck()

    # Life

    def start(self) -> Self:
        """Listen.

        Raises:
            OSError: the address cannot be bound.
        """
        self._ae.maximum_pdu_size = self.behaviour.maximum_pdu_bytes
        # The limit is ours (`admit`), not the library's.
        self._ae.maximum_associations = 100_000
        self._server = PacsServer(
            self._ae, (self.host, self.port), [build_context(VERIFICATION)], self._connect, self._ssl_context
        )
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_S,), name=f"pacs-{self.ae_title}", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening, drop what is connected, and wait for all threads."""
        self.stopping.set()
        if self._server is not None and self._thread is not None:
            # pynetdicom's own shutdown wants a server that its AE has started.
            BaseServer.shutdown(self._server)
            self._thread.join(_JOIN_S)
            self._server.server_close()
            self._server = None
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.drop()
        for connection in connections:
            connection.join(_JOIN_S)
        self._services.join(_JOIN_S)
        self.witness.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def _connect(self, raw: socket.socket) -> ServedConnection:
        connection = ServedConnection(self._ae, self, raw, next(self._numbers))
        connection.network_timeout = self.behaviour.idle_timeout_s
        with self._lock:
            self._connections = {known for known in self._connections if not known.is_over} | {connection}
        return connection

    # What connections need (connection.Host)

    def contexts_for(self, proposed: Sequence[str]) -> list[PresentationContext]:
        """Return the presentation contexts that are supported among the proposed abstract syntaxes."""
        supported = self._supported()
        contexts = []
        for uid in dict.fromkeys(proposed):
            if uid in supported:
                contexts.append(build_context(uid, _SYNTAXES))
            elif uid.startswith(_STORAGE_PREFIX) and "get" in self.behaviour.services:
                # The peer of a C-GET is the SCP of storage on its own association (PS3.7 D.3.3.4).
                context = build_context(uid, _SYNTAXES)
                context.scu_role, context.scp_role = False, True
                contexts.append(context)
        return contexts

    def _supported(self) -> set[str]:
        services = self.behaviour.services
        roots = [_STUDY_ROOT, *([_PATIENT_ROOT] if "patient_root" in services else [])]
        models = {
            root + suffix for name, suffix in _SERVICE_SUFFIXES.items() if name in services for root in roots
        }
        if self.behaviour.without_bulk_data:
            models.add(WITHOUT_BULK_DATA)
        return models | ({VERIFICATION} if "echo" in services else set())

    def takes_relational(self) -> bool:
        """Return whether relational queries are accepted when proposed."""
        return self.behaviour.relational in {"negotiated", "always"}

    def admit(self, connection: ServedConnection, called_ae_title: str) -> tuple[int, int, int] | None:
        """Count an association in; return result, source and reason if it is rejected.

        Raises:
            ConnectionLostError: a fault has ended it.
        """
        behaviour = self.behaviour
        calling = connection.calling_ae_title
        fault = self._book.strike(RequestDetails("associate", calling_ae_title=calling))
        if fault is not None and fault.kind == "reject":
            rejection: str | None = fault.rejection
        else:
            if fault is not None:
                _hinder(connection, fault)
            rejection = self._objection(behaviour, calling, called_ae_title)
        if rejection is None and not self.witness.open_association(
            calling, behaviour.maximum_associations, behaviour.maximum_associations_per_ae_title
        ):
            rejection = behaviour.limit_rejection
        if rejection is not None:
            self.witness.reject_association()
            return REJECTIONS[rejection]
        connection.admitted = True
        return None

    def _objection(self, behaviour: Behaviour, calling_ae_title: str, called_ae_title: str) -> str | None:
        if behaviour.reject_associations is not None:
            return behaviour.reject_associations
        if behaviour.calling_ae_titles and calling_ae_title not in behaviour.calling_ae_titles:
            return "calling_ae_title_not_recognized"
        if behaviour.require_called_ae_title and called_ae_title != self.ae_title:
            return "called_ae_title_not_recognized"
        return None

    def serve(
        self, connection: ServedConnection, request: DimseServiceType, context: PresentationContext
    ) -> None:
        """Serve one request and record it."""
        self._services.serve(connection, request, context)

    def ended(self, connection: ServedConnection) -> None:
        """Count an association out."""
        self.witness.close_association(connection.calling_ae_title)


def _hinder(connection: ServedConnection, fault: Fault) -> None:
    """Keep an association from being negotiated, unless the fault only delays it.

    Raises:
        ConnectionLostError: the association has come to nothing.
    """
    if fault.kind == "never_answer":
        connection.wait_for_peer_to_go()
    elif fault.kind == "abort":
        connection.acse.send_abort(0x02)
    elif not strike_down(connection, fault):
        return
    raise ConnectionLostError
