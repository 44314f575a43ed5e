"""An application entity whose associations lose no responses, leak no sockets and send without delay."""

import contextlib
import socket
import ssl
from typing import Any

from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.transport import AddressInformation, AssociationSocket

from simulator.network.idle_threads import let_threads_rest
from simulator.network.sockets import send_at_once

#: Requests of tests, and releases, pass through pynetdicom and may wait for as many seconds.
_REST_S = 0.005


class _Socket(AssociationSocket):
    """Closes its socket even where it cannot be shut down any more, as one that never connected."""

    def _shutdown_socket(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


class PacsRequestor(ApplicationEntity):
    """Opens associations, each to be used by one thread."""

    def _create_socket(
        self,
        assoc: Association,
        address: AddressInformation,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> AssociationSocket:
        sock = _Socket(assoc, address=address)
        sock.tls_args = tls_args
        return sock

    def open(self, host: str, port: int, **options: Any) -> Association:
        """Return an association, established or not; `options` are those of `associate`."""
        handlers = [*options.pop("evt_handlers", ()), (evt.EVT_CONN_OPEN, _on_open)]
        assoc = self.associate(host, port, evt_handlers=handlers, **options)
        # The thread of a requestor polls for messages and may drop the response that another thread waits for
        # (pynetdicom issue 875): its polls find nothing.
        take = assoc.dimse.get_msg
        assoc.dimse.get_msg = lambda block=False: take(block=True) if block else (None, None)  # type: ignore[method-assign]
        let_threads_rest(assoc, lambda: raw_socket(assoc), _REST_S)
        return assoc


def raw_socket(assoc: Association) -> socket.socket | None:
    """Return the TCP socket of an association, None once it is closed."""
    wrapped = assoc.dul.socket
    return None if wrapped is None else wrapped.socket


def _on_open(event: evt.Event) -> None:
    raw = raw_socket(event.assoc)
    if raw is not None:
        send_at_once(raw)
