"""A C-STORE SCP that keeps in memory what it receives."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from socketserver import BaseServer
from typing import Any, Self

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AllStoragePresentationContexts, evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    Verification,
)
from pynetdicom.transport import ThreadedAssociationServer

from simulator.network.connection import PacsServer  # noqa: F401 (switches pynetdicom's logging of identifiers off)
from simulator.network.sockets import acknowledge_at_once, send_at_once

VERIFICATION = str(Verification)


@dataclasses.dataclass(frozen=True)
class Received:
    """One object as it arrived."""

    sop_class_uid: str
    sop_instance_uid: str
    association: int
    calling_ae_title: str
    data_set: bytes
    transfer_syntax_uid: str


class _StoreServer(ThreadedAssociationServer):
    def service_actions(self) -> None:
        """Do nothing: pynetdicom collects garbage at every 60th poll."""


class StoreScp:
    """A C-STORE SCP that keeps what it gets in memory.

    `status_for` may be replaced: it returns the status of each object before it is recorded.
    """

    def __init__(self, ae_title: str = "STORE") -> None:
        self.ae_title = ae_title
        self.port = 0
        self.status_for: Callable[[str], int] = lambda _sop_instance_uid: 0x0000
        self._arrived = threading.Condition()
        self._received: list[Received] = []
        self._ae = ApplicationEntity(ae_title=ae_title)
        self._ae.maximum_pdu_size = 0
        self._ae.maximum_associations = 100
        self._ae.supported_contexts = AllStoragePresentationContexts
        for context in self._ae.supported_contexts:
            context.transfer_syntax = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
        self._ae.add_supported_context(VERIFICATION)
        self._server: ThreadedAssociationServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Self:
        self._server = self._ae.make_server(
            ("127.0.0.1", self.port),
            evt_handlers=[(evt.EVT_C_STORE, self._store), (evt.EVT_CONN_OPEN, _on_open), *self.handlers()],
            server_class=_StoreServer,
        )
        self.port = int(self._server.server_address[1])
        # pynetdicom's own thread polls for its end only twice a second.
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def handlers(self) -> list[Any]:
        """Return the handlers of what else it serves."""
        return []

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        BaseServer.shutdown(self._server)
        self._thread.join(10)
        associations = self._server.active_associations
        self._server.server_close()
        for assoc in associations:
            assoc.abort()
            assoc.join(10)
        self._server = None

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.port

    def _store(self, event: evt.Event) -> int:
        request: Any = event.request
        sop_instance_uid = str(request.AffectedSOPInstanceUID)
        wrapped = event.assoc.dul.socket
        if wrapped is not None and wrapped.socket is not None:
            acknowledge_at_once(wrapped.socket)
        status = self.status_for(sop_instance_uid)
        if status in {0x0000, 0xB000, 0xB006, 0xB007}:
            received = Received(
                str(request.AffectedSOPClassUID),
                sop_instance_uid,
                id(event.assoc),
                event.assoc.requestor.ae_title,
                request.DataSet.getvalue(),
                str(event.context.transfer_syntax),
            )
            with self._arrived:
                self._received.append(received)
                self._arrived.notify_all()
        return status

    @property
    def received(self) -> tuple[Received, ...]:
        with self._arrived:
            return tuple(self._received)

    @property
    def uids(self) -> frozenset[str]:
        """The SOP Instance UIDs that arrived."""
        return frozenset(received.sop_instance_uid for received in self.received)

    def wait_for(self, number: int, timeout_s: float = 20) -> bool:
        """Wait until this many objects have arrived."""
        with self._arrived:
            return self._arrived.wait_for(lambda: len(self._received) >= number, timeout_s)


def _on_open(event: evt.Event) -> None:
    wrapped = event.assoc.dul.socket
    if wrapped is not None and wrapped.socket is not None:
        send_at_once(wrapped.socket)


def decode_object(received: Received) -> Dataset:
    """Return the data set of an object that arrived."""
    from pynetdicom.dsutils import decode

    implicit = received.transfer_syntax_uid == ImplicitVRLittleEndian
    return decode(BytesIO(received.data_set), implicit, True)


@pytest.fixture
def store_scp() -> Iterator[StoreScp]:
    """Return a running store that records what arrives."""
    store = StoreScp().start()
    yield store
    store.stop()
