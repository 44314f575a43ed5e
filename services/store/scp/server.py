"""The C-STORE SCP: takes connections, bounds them, and serves each association in a thread of its own."""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from services.store.objects.temp_file import TempFile
from services.store.scp.association import StoreAssociation
from services.store.scp.commitment_reports import CommitmentEvent
from services.store.scp.config import Terms
from services.store.store_object import CStoreCommand, CStoreRequest, StoreResponse
from shared.dicom.upper_layer.associate_acceptor import LOCAL_LIMIT_EXCEEDED
from shared.dicom.upper_layer.connection import Connection
from shared.errors import PermanentError

log = structlog.get_logger(__name__)

#: Connections that wait to be accepted.
BACKLOG = 512
#: Simultaneous associations by default; more are rejected as "local limit exceeded", transient.
MAX_ASSOCIATIONS = 200
#: Seconds of idleness after which an association gives way to a new one where there are too many; fewer for
#: a connection that has not yet requested one.
GIVES_WAY_S, UNASKED_GIVES_WAY_S = 30.0, 2.0
#: Connections that are being rejected; where there are more, the first of them is let go.
MAX_REJECTING = 64
#: Seconds for the whole A-ASSOCIATE-RQ after the connection (ARTIM, PS3.8 9.1.5); for one that is rejected.
ASSOCIATE_TIMEOUT_S, REJECTING_TIMEOUT_S = 10.0, 3.0
#: Seconds of silence after which an association is ended: some senders read from tape between two objects.
IDLE_TIMEOUT_S = 600.0
MAX_OBJECT_BYTES = 4 << 30
#: Seconds between two checks of the associations in hand while it stops.
_DRAIN_POLL_S = 0.01
#: Pause where no connection can be accepted: mostly, no file descriptor is left.
_EXHAUSTED_PAUSE_S = 0.1

Take = Callable[[CStoreRequest], StoreResponse]
#: Decides whether a calling AE title may associate, or an IP address connect.
Admit = Callable[[str], bool]
#: Takes the number of associations here, and returns their number in all processes.
NoteAssociations = Callable[[int], int]


class CannotListenError(PermanentError):
    """The address cannot be listened on: mostly, another program has the port."""


def listening_socket(host: str, port: int, *, share_port: bool = False) -> socket.socket:
    """Return a socket that listens; `port` 0 takes a free one, a shared one lets others listen, too.

    Raises:
        CannotListenError: the port is taken, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG, reuse_port=share_port)
    except OSError as error:
        raise CannotListenError(_cannot_listen(host, port, error)) from error


class StoreScp:
    """Takes associations and hands every C-STORE request to `take`."""

    def __init__(
        self,
        take: Take,
        *,
        listener: socket.socket,
        ae_title: str,
        stall_timeout_s: float,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        admit: Admit = lambda _calling_ae_title: True,
        open_temp_file: Callable[[CStoreCommand], TempFile] | None = None,
        count: Callable[[str], None] = lambda _name: None,
        note_associations: NoteAssociations = lambda number: number,
        max_associations: int = MAX_ASSOCIATIONS,
        max_object_bytes: int = MAX_OBJECT_BYTES,
        admit_address: Admit = lambda _address: True,
        tls: Callable[[], ssl.SSLContext] | None = None,
        take_report: Callable[[CommitmentEvent], StoreResponse] | None = None,
        leave_out: Callable[[str], Callable[[bytes], bool] | None] = lambda _transfer_syntax_uid: None,
    ) -> None:
        """Serve what comes to `listener`, which others may share."""
        self._terms = Terms(
            take=take,
            open_temp_file=open_temp_file,
            admit=admit,
            count=count,
            max_object_bytes=max_object_bytes,
            associate_s=ASSOCIATE_TIMEOUT_S,
            idle_s=idle_timeout_s,
            stall_s=stall_timeout_s,
            tls=tls,
            take_report=take_report,
            leave_out=leave_out,
        )
        self._admit_address = admit_address
        self._listener = listener
        self._ae_title = ae_title
        self._note_associations = note_associations
        self._max_associations = max_associations
        self._associations: set[StoreAssociation] = set()
        self._rejecting: dict[StoreAssociation, None] = {}
        self._lock = threading.Lock()
        self._stopping = False
        # Its end wakes the listening thread; the listening socket itself may be shared with other processes.
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    @property
    def port(self) -> int:
        """The port on which it listens."""
        return int(self._listener.getsockname()[1])

    def start(self) -> None:
        """Start to take connections."""
        host, port = self._listener.getsockname()[:2]
        log.info("listening", host=host, port=port, ae_title=self._ae_title)
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Stop listening, let each association finish the object in hand, then end them all."""
        with self._lock:
            self._stopping = True
        self._wake.close()
        self._thread.join()
        self._listener.close()
        deadline = time.monotonic() + grace_s
        while (live := self._live()) and time.monotonic() < deadline:
            for association in live:
                association.end_after_this()
            time.sleep(_DRAIN_POLL_S)
        for association in live:
            association.cut()

    def _live(self) -> list[StoreAssociation]:
        with self._lock:
            return list(self._associations)

    def _listen(self) -> None:
        self._listener.setblocking(False)
        with selectors.DefaultSelector() as selector, self._woken:
            selector.register(self._woken, selectors.EVENT_READ)
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._stopping:
                selector.select()
                self._accept()

    def _accept(self) -> None:
        try:
            connection, address = self._listener.accept()
        except BlockingIOError:
            return  # another process was faster
        except OSError as error:
            log.warning("connection not accepted", error=errno.errorcode.get(error.errno or 0, ""))
            time.sleep(_EXHAUSTED_PAUSE_S)
        else:
            self._begin(connection, address[0])

    def _begin(self, connection: socket.socket, address: str) -> None:
        if not self._admit_address(address):
            self._terms.count("rejected_address")
            self._terms.bad_connections.warning("connection closed: address not admitted", address=address)
            connection.close()
            return
        association = StoreAssociation(Connection(connection), address, self._terms)
        serve = self._serve if self._has_room(address) else self._reject
        if serve == self._serve:
            self._add(association)
        try:
            threading.Thread(target=serve, args=(association,), name="association", daemon=True).start()
        except RuntimeError:  # no thread can be started
            log.warning("connection not served", address=address)
            self._remove(association)
            connection.close()

    def _has_room(self, address: str) -> bool:
        """Return whether there may be one more association; one that is idle gives way to it."""
        with self._lock:
            here = len(self._associations)
        if self._note_associations(here + 1) <= self._max_associations:
            return True
        self._note_associations(here)
        live = [association for association in self._live() if not association.ended]
        made = self._end_long_idle(live) or self._end_of_largest_share(live, address)
        if made:
            self._terms.count("gave_way")
        return made

    @staticmethod
    def _end_long_idle(live: Sequence[StoreAssociation]) -> bool:
        requested = [association for association in live if association.established]
        pending = [association for association in live if not association.established]
        for associations, idle_s in ((pending, UNASKED_GIVES_WAY_S), (requested, GIVES_WAY_S)):
            oldest = min(associations, key=lambda association: association.idle_since, default=None)
            if oldest is not None and oldest.end_if_idle(idle_s):
                return True
        return False

    @staticmethod
    def _end_of_largest_share(live: Sequence[StoreAssociation], address: str) -> bool:
        """End an association without a request in hand of the address that has more than half of all.

        So no address locks out the others, however busy it keeps its associations.
        """
        share = Counter(association.address for association in live).most_common(1)
        if not share or share[0][0] == address or 2 * share[0][1] <= len(live):
            return False
        of_largest = (association for association in live if association.address == share[0][0])
        by_idleness = sorted(of_largest, key=lambda association: association.idle_since)
        return any(association.end_if_idle() for association in by_idleness)

    def _add(self, association: StoreAssociation) -> None:
        with self._lock:
            self._associations.add(association)
            self._note_associations(len(self._associations))

    def _remove(self, association: StoreAssociation) -> None:
        with self._lock:
            self._associations.discard(association)
            self._note_associations(len(self._associations))

    def _serve(self, association: StoreAssociation) -> None:
        try:
            association.serve()
        except Exception:
            log.exception("association not served")
            self._terms.count("defects")
        finally:
            self._remove(association)

    def _reject(self, association: StoreAssociation) -> None:
        self._terms.count("rejected_limit")
        with self._lock:
            first = next(iter(self._rejecting)) if len(self._rejecting) >= MAX_REJECTING else None
            if first is not None:
                del self._rejecting[first]
            self._rejecting[association] = None
        if first is not None:
            first.end_if_idle()
        try:
            association.reject(LOCAL_LIMIT_EXCEEDED, REJECTING_TIMEOUT_S)
        finally:
            with self._lock:
                self._rejecting.pop(association, None)


def _cannot_listen(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"{host}:{port} is taken by another program; choose another DOSEQR_STORE_PORT or end that program"
        )
    return f"cannot listen on {host}:{port}: {error.strerror or type(error).__name__}"
