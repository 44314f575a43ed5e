"""What a DICOM peer can do to us, as one error with an outcome that people and programs understand."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from shared.errors import DoseQRError


class Outcome(StrEnum):
    """How contact with a peer ended; the values are the words of the public JSON."""

    RESPONDS = "answers"
    CONNECTION_REFUSED = "connection refused"
    HOST_NOT_FOUND = "host not found"
    TIMED_OUT = "timed out"
    REJECTED = "association rejected"
    ABORTED = "aborted"
    NOT_SUPPORTED = "service not supported"
    BAD_RESPONSE = "answer not understood"
    CAPPED = "answers capped"
    STATUS = "answered with status"
    NOT_NOW = "not asked at this time"
    #: Of DICOMweb alone.
    CERTIFICATE = "certificate not accepted"
    UNAUTHORIZED = "authentication failed"
    FORBIDDEN = "access denied"
    NOT_FOUND = "not found"
    NO_DICOMWEB = "no web service there"


#: The peer was not reached at all: worth waiting for a good while, since PACS are restarted.
UNREACHABLE = frozenset({Outcome.CONNECTION_REFUSED, Outcome.HOST_NOT_FOUND})
#: The peer was reached, and does not let us in, or we do not trust it.
ACCESS_REFUSALS = frozenset({Outcome.CERTIFICATE, Outcome.UNAUTHORIZED, Outcome.FORBIDDEN})

#: Outcomes of which the HTTP status says more than their own words.
_BY_HTTP_STATUS = frozenset({Outcome.STATUS, Outcome.CAPPED})


class PeerError(DoseQRError):
    """An exchange with a peer failed.

    `permanent`: the same request fails the same way. `congested`: the peer is busy for the moment.
    `associating`: the association was being established, not used. `http_status`: that of a DICOMweb server;
    `status_code` is then the DIMSE status with the same meaning, if there is one.
    """

    def __init__(
        self,
        outcome: Outcome,
        detail: str,
        *,
        status_code: int | None = None,
        http_status: int | None = None,
        permanent: bool = False,
        congested: bool = False,
        associating: bool = False,
    ) -> None:
        shown = outcome_text(outcome, status_code if http_status is None else None)
        super().__init__(f"{shown}: {detail}" if detail else str(outcome))
        self.outcome = outcome
        self.detail = detail
        self.status_code = status_code
        self.http_status = http_status
        self.permanent = permanent
        self.congested = congested
        self.associating = associating
        #: When the next try is allowed, if that is known.
        self.retry_at: datetime | None = None

    @property
    def peer_away(self) -> bool:
        """Whether the peer is away or busy, so that waiting helps."""
        away = self.outcome in UNREACHABLE or (self.outcome is Outcome.TIMED_OUT and self.associating)
        return not self.permanent and (self.congested or away)

    @property
    def code(self) -> str:
        """A stable code for ledgers."""
        if self.http_status is not None and self.outcome in _BY_HTTP_STATUS:
            return f"http_{self.http_status}"
        if self.status_code is not None:
            return f"status_{self.status_code:04x}"
        return self.outcome.value.replace(" ", "_")


def dimse_status(status_code: int | None, code: str) -> str:
    """Return the DIMSE status that a peer sent; empty where none came, or `code` is an HTTP status."""
    return "" if status_code is None or code.startswith("http_") else f"0x{status_code:04X}"


class StoreError(PeerError):
    """The store node to which fetched objects go does not take an association."""

    def __init__(self, error: PeerError) -> None:
        super().__init__(
            error.outcome,
            f"store node: {error.detail}",
            permanent=error.permanent,
            congested=error.congested,
            associating=True,
        )


class NoSpaceError(PeerError):
    """There is no space here for an object on its way to the store node."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.BAD_RESPONSE, detail)


class NotNowError(PeerError):
    """What the node allows does not allow it at this time; no failure, neither of the node nor of the work.

    `until`: when it is worth coming back. `whole_node`: nobody else need try before. `note`: what is waited
    for, in words. It is raised, never part of a result, and only while nothing is on its way to the node.
    """

    def __init__(self, until: datetime, note: str, *, whole_node: bool = False) -> None:
        super().__init__(Outcome.NOT_NOW, note, associating=True)
        self.until = until
        self.note = note
        self.whole_node = whole_node


class InterruptedWorkError(DoseQRError):
    """The work was stopped from our side: cancelled, handed back, or lost to another worker."""


def outcome_text(outcome: Outcome, status_code: int | None) -> str:
    """Return the outcome in words, with the status code where it is one."""
    return f"{outcome.value} 0x{status_code:04X}" if status_code is not None else outcome.value
