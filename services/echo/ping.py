"""One C-ECHO (PS3.4 annex A), with every way it can end told apart."""

from __future__ import annotations

import time
from dataclasses import dataclass

from shared.dicom.association.pynetdicom_association import (
    Peer,
    PynetdicomAssociation,
    Timeouts,
    open_pynetdicom_association,
)
from shared.dicom.errors import Outcome, PeerError, outcome_text
from shared.dicom.sop_classes import VERIFICATION
from shared.dicom.status import words


@dataclass(frozen=True, slots=True)
class EchoResult:
    """How a peer answered; the round trip is that of the C-ECHO itself, in milliseconds."""

    ok: bool
    outcome: str
    detail: str
    rtt_ms: float | None


def ping(peer: Peer, timeouts: Timeouts) -> EchoResult:
    """Call a peer and return how it answered; never raises for what a peer does."""
    try:
        association = open_pynetdicom_association(peer, [VERIFICATION], timeouts)
    except PeerError as error:
        return EchoResult(ok=False, outcome=error.outcome.value, detail=error.detail, rtt_ms=None)
    try:
        return _echo(association)
    finally:
        association.release()


def _echo(association: PynetdicomAssociation) -> EchoResult:
    association.responses.begin(None, None)
    began = time.monotonic()
    try:
        status = association.assoc.send_c_echo(association.next_message_id())
    except (RuntimeError, ValueError):
        return _failed(PeerError(Outcome.ABORTED, "the association ended before the request was sent"))
    rtt_ms = round((time.monotonic() - began) * 1000, 1)
    code = status.get("Status")
    if code is None:
        error = association.failure()
        assert isinstance(error, PeerError)
        return _failed(error)
    if code != 0:
        outcome = outcome_text(Outcome.STATUS, code)
        return EchoResult(ok=False, outcome=outcome, detail=words(code), rtt_ms=rtt_ms)
    return EchoResult(ok=True, outcome=Outcome.ANSWERS.value, detail="", rtt_ms=rtt_ms)


def _failed(error: PeerError) -> EchoResult:
    return EchoResult(ok=False, outcome=error.outcome.value, detail=error.detail, rtt_ms=None)
