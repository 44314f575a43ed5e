"""One C-ECHO (PS3.4 annex A), or one QIDO-RS request, with an outcome for every way it can end."""

from __future__ import annotations

from dataclasses import dataclass

from shared.dicom.association.c_echo import open_echo_association
from shared.dicom.errors import Outcome, PeerError, outcome_text
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.status import SUCCESS, status_text


@dataclass(frozen=True, slots=True)
class EchoResult:
    """How it ended; the round trip is that of the request itself, in milliseconds."""

    ok: bool
    outcome: str
    detail: str
    rtt_ms: float | None


def ping(peer: Peer, timeouts: Timeouts) -> EchoResult:
    """Send a C-ECHO to a peer and return how it ended; never raises for what a peer does.

    A peer with DICOMweb is sent a search for one study.
    """
    if peer.web is not None:
        return _web_ping(peer, timeouts)
    try:
        association = open_echo_association(peer, timeouts)
        try:
            response = association.c_echo()
        finally:
            association.release()
    except PeerError as error:
        return EchoResult(ok=False, outcome=error.outcome.value, detail=error.detail, rtt_ms=None)
    rtt_ms = round(response.duration_s * 1000, 1)
    if response.status_code != SUCCESS:
        outcome = outcome_text(Outcome.STATUS, response.status_code)
        return EchoResult(ok=False, outcome=outcome, detail=status_text(response.status_code), rtt_ms=rtt_ms)
    return EchoResult(ok=True, outcome=Outcome.RESPONDS.value, detail="", rtt_ms=rtt_ms)


def _web_ping(peer: Peer, timeouts: Timeouts) -> EchoResult:
    # Its libraries are loaded where a node speaks DICOMweb, and nowhere else.
    from shared.dicomweb.sessions import web_echo

    try:
        took_s = web_echo(peer, timeouts)
    except PeerError as error:
        return EchoResult(ok=False, outcome=error.outcome.value, detail=error.detail, rtt_ms=None)
    rtt_ms = round(took_s * 1000, 1)
    return EchoResult(ok=True, outcome=Outcome.RESPONDS.value, detail="", rtt_ms=rtt_ms)
