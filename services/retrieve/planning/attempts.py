"""The C-MOVEs (or C-GETs) of a task and how the PACS ended each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.retrieve.planning.moves import Move, SeriesPart
from shared.dicom.errors import Outcome, PeerError

SUCCESS = 0x0000
#: The PACS does not know the move destination (PS3.4 C.4.2.1.5).
DESTINATION_UNKNOWN = 0xA801

#: Stands for the objects of an unlisted series: the PACS reports them and nobody can name them.
UNNAMED = frozenset({""})


@dataclass(frozen=True, slots=True)
class FinalResponse:
    """The final response to one request (PS3.7 9.1.4.1); counters are None where the PACS leaves them out."""

    #: None if no final response came.
    status_code: int | None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    failed_sop_instance_uids: tuple[str, ...] = ()
    #: Why there is no final status, or what the status means if it is no success.
    error: PeerError | None = None
    #: Objects that came over our own association (C-GET) and that the store node accepted from us.
    stored: frozenset[str] = frozenset()
    #: What the store node refused of these, in words; empty if nothing.
    refusal: str = ""

    @property
    def succeeded(self) -> bool:
        """Whether the status is success or a warning."""
        return self.status_code is not None and self.error is None

    @property
    def failures(self) -> int:
        """Number of failed sub-operations, as far as the PACS reports them."""
        return max(self.failed or 0, len(self.failed_sop_instance_uids))

    @property
    def sent(self) -> int | None:
        """Number of sub-operations that succeeded, with or without warning; None if not reported."""
        if self.completed is None and self.warning is None:
            return None
        return (self.completed or 0) + (self.warning or 0)

    @property
    def is_fruitless(self) -> bool:
        """Whether the request failed, and nothing is reported as sent or was stored."""
        return not (self.sent or self.stored) and bool(self.error or self.failures)

    def may_come(self, requested: int) -> int:
        """Return how many of the requested objects may still arrive after this response."""
        if self.status_code is None:
            return 0
        if self.sent is not None:
            return min(self.sent, requested)
        return max(0, requested - self.failures) if self.succeeded else 0

    def reported_sent(self, sop_instance_uids: Sequence[str]) -> frozenset[str]:
        """Return those of the requested objects that the PACS clearly reports as sent.

        An unlisted series is requested as one empty UID.
        """
        if not self.succeeded and not self.sent:
            return frozenset()
        failed = frozenset(self.failed_sop_instance_uids)
        rest = frozenset(sop_instance_uids) - failed
        if self.failures > len(failed):
            return frozenset()
        if rest == UNNAMED:
            return rest if self.sent != 0 and not self.failures else frozenset()
        return rest if self.sent is None or self.sent >= len(rest) else frozenset()

    def __str__(self) -> str:
        """Return the status and the counters in words."""
        status = "no status" if self.status_code is None else f"status 0x{self.status_code:04X}"
        counters = (("completed", self.completed), ("warning", self.warning), ("failed", self.failed))
        numbers = [f"{name} {number}" for name, number in counters if number is not None]
        return "; ".join(filter(None, (status, ", ".join(numbers) or "no counters", self.refusal)))


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was sent, and its final response."""

    move: Move
    response: FinalResponse

    @property
    def expected(self) -> int:
        """How many objects are expected: the named or announced number, else what the PACS counts."""
        first = self.move.parts[0]
        if first.unlisted and not first.announced:
            return max(1, (self.response.sent or 0) + self.response.failures)
        return self.move.size

    @property
    def may_come(self) -> int:
        """How many of its objects may still arrive."""
        return self.response.may_come(self.expected)


@dataclass(slots=True)
class MoveAttempts:
    """All requests of a task: those that were sent, and those that were not."""

    attempts: list[Attempt] = field(default_factory=list)
    #: Not sent: the PACS was silent or brought nothing too often, time was up, or no association was left.
    unsent: list[Move] = field(default_factory=list)
    no_association: PeerError | None = None

    @property
    def parts(self) -> list[SeriesPart]:
        """Everything that was requested."""
        return [part for attempt in self.attempts for part in attempt.move.parts]

    @property
    def are_fruitless(self) -> bool:
        """Whether requests were sent, and all of them failed and brought nothing."""
        return bool(self.attempts) and all(attempt.response.is_fruitless for attempt in self.attempts)

    @property
    def may_come(self) -> int:
        """How many objects may still arrive of all that was requested."""
        return sum(attempt.may_come for attempt in self.attempts)


#: HTTP statuses that say of a kind of request that it is not served (RFC 9110 15.5 and 15.6).
_NOT_SERVED = frozenset({405, 406, 415, 501})


@dataclass(slots=True)
class HeaderAttempts:
    """What came of the requests for headers without bulk data."""

    stored: set[str] = field(default_factory=set)
    #: Whether the node offers it; None: these requests do not show it. A single object shows nothing.
    offered: bool | None = None

    def note(self, response: FinalResponse | None, error: PeerError | None) -> None:
        """Take the end of one request; without a response, of its association."""
        if response is not None and response.stored:
            self.stored |= response.stored
            self.offered = True
        elif error is not None and self.offered is None:
            refused = error.outcome is Outcome.NOT_SUPPORTED and error.permanent
            if refused or error.http_status in _NOT_SERVED:
                self.offered = False
