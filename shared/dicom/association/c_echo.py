"""C-ECHO (PS3.4 annex A): whether a peer responds, within a bounded time in all."""

from __future__ import annotations

import time
from typing import NamedTuple

from shared.dicom.association.native import NO_DEADLINE, NativeAssociation, open_native_association
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.sop_classes import VERIFICATION
from shared.dicom.upper_layer.dimse_command import C_ECHO_RSP, COMMAND_FIELD, STATUS, c_echo_rq, number_of
from shared.dicom.upper_layer.errors import ProtocolError


class EchoResponse(NamedTuple):
    """The response to one C-ECHO: its status, and the seconds until it came."""

    status_code: int
    duration_s: float


class EchoAssociation(NativeAssociation):
    """An association for C-ECHO."""

    operation = "C-ECHO"

    def c_echo(self) -> EchoResponse:
        """Send one C-ECHO and return its response.

        Raises:
            PeerError: there is none in time.
        """
        began = time.monotonic()
        try:
            self._send(self._p_data(c_echo_rq(self.next_message_id(), VERIFICATION), is_command=True))
            message = self._message(self._timeouts.response_s, lambda: NO_DEADLINE)
        except TimeoutError:
            self.abort()
            raise PeerError(Outcome.TIMED_OUT, f"no response for {self._timeouts.response_s:g} s") from None
        except ProtocolError as error:
            self.abort()
            raise PeerError(Outcome.ABORTED, str(error)) from error
        status_code = number_of(message.command, STATUS)
        if number_of(message.command, COMMAND_FIELD) != C_ECHO_RSP or status_code is None:
            self.abort()
            raise PeerError(Outcome.ABORTED, "a message that is no response to a C-ECHO")
        return EchoResponse(status_code, time.monotonic() - began)


def open_echo_association(
    peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None
) -> EchoAssociation:
    """Open an association for C-ECHO.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    return open_native_association(EchoAssociation, peer, VERIFICATION, timeouts, cancellation=cancellation)
