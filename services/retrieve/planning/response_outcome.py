"""What the answer to a C-MOVE means, given what arrived: a pure table (PS3.4 C.4.2.1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.contract.reasons import Reason
from shared.dicom.errors import Outcome, PeerError, StoreError

SUCCESS = 0x0000
DESTINATION_UNKNOWN = 0xA801
#: The request itself is refused: a list, a level or a key that the PACS does not take.
IDENTIFIER_REFUSED = 0xA900
#: The same request gives the same answer.
_FINAL = frozenset({0x0122, 0x0124, 0x0211, 0x0212})


class Action(StrEnum):
    """What follows for the objects of a C-MOVE that did not arrive."""

    #: There are none.
    DONE = "done"
    #: Ask for them again now, at image level.
    ASK_REST = "ask_rest"
    #: One object of a list may have spoilt the rest: ask in shorter lists.
    CUT = "cut"
    #: The PACS does not take the request in this form: ask in a simpler one.
    ASK_SIMPLER = "ask_simpler"
    #: Ask again after a pause.
    TRY_LATER = "try_later"
    #: Asking again is useless.
    GIVE_UP = "give_up"
    #: No other C-MOVE of the job can succeed either.
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class FinalResponse:
    """How the PACS ended one C-MOVE; counters are None where it leaves them out."""

    status_code: int | None
    completed: int | None = None
    failed: int | None = None
    warning: int | None = None
    failed_sop_instance_uids: tuple[str, ...] = ()
    #: Why there is no final status, or what the status means if it is no success.
    error: PeerError | None = None
    #: Objects that came over our own association (C-GET) and that the store node took of us.
    stored: frozenset[str] = frozenset()

    @property
    def succeeded(self) -> bool:
        """Whether the status says success, with or without warnings."""
        return self.status_code is not None and self.error is None

    @property
    def failures(self) -> int:
        """Sub-operations that failed, as far as the PACS says."""
        return max(self.failed or 0, len(self.failed_sop_instance_uids))

    @property
    def sent(self) -> int | None:
        """Sub-operations that succeeded, with or without warning; None if it does not say."""
        if self.completed is None and self.warning is None:
            return None
        return (self.completed or 0) + (self.warning or 0)


@dataclass(frozen=True, slots=True)
class ResponseOutcome:
    """What follows, and what stands in the ledger for objects that never come."""

    action: Action
    #: `failed`: the PACS says so; `missing`: it says that they were sent.
    state: str
    reason: Reason
    detail: str


def response_outcome(
    answer: FinalResponse,
    *,
    asked: int,
    arrived: int,
    simplest: bool,
    several: bool = False,
    spent: bool = False,
) -> ResponseOutcome:
    """Say what follows from an answer.

    `simplest`: the same cannot be asked for in a simpler way; `several`: it was asked for in a list, of which
    one member may have spoilt the rest; `spent`: a list that fails is not tried again as it is.
    """
    if arrived >= asked:
        return ResponseOutcome(Action.DONE, "arrived", Reason.NOT_ARRIVED, "")
    if answer.succeeded:
        return _after_success(answer, spoilt=several and not arrived)
    error = answer.error or PeerError(Outcome.ABORTED, "no final answer")
    action = _after_failure(answer, error, arrived, simplest=simplest, several=several)
    if spent and several and action in (Action.TRY_LATER, Action.ASK_REST):
        action = Action.CUT
    return ResponseOutcome(action, "failed", reason_of(error), str(error))


def _after_success(answer: FinalResponse, *, spoilt: bool) -> ResponseOutcome:
    if answer.failures or answer.status_code != SUCCESS:
        action = Action.CUT if spoilt else Action.ASK_REST
        return ResponseOutcome(action, "failed", Reason.STATUS_FAILURE, told(answer))
    reason = Reason.MOVED_NOTHING if answer.sent == 0 else Reason.NOT_ARRIVED
    return ResponseOutcome(Action.ASK_REST, "missing", reason, told(answer))


def _after_failure(
    answer: FinalResponse, error: PeerError, arrived: int, *, simplest: bool, several: bool
) -> Action:
    code = answer.status_code
    if code == DESTINATION_UNKNOWN:
        return Action.STOP
    unable = code is not None and 0xC000 <= code <= 0xCFFF  # noqa: PLR2004 - PS3.4 C.4.2.1.5
    if several and (unable or code in _FINAL):
        return Action.CUT
    if arrived:
        return Action.ASK_REST
    if code in _FINAL or (code is None and error.permanent):
        return Action.GIVE_UP
    if (unable or code == IDENTIFIER_REFUSED) and not simplest:
        return Action.ASK_SIMPLER
    return Action.GIVE_UP if code == IDENTIFIER_REFUSED else Action.TRY_LATER


def told(answer: FinalResponse) -> str:
    """Return what the PACS said, in words: its status and its counters."""
    status = "no status" if answer.status_code is None else f"status 0x{answer.status_code:04X}"
    counters = (("completed", answer.completed), ("warning", answer.warning), ("failed", answer.failed))
    numbers = [f"{name} {number}" for name, number in counters if number is not None]
    return f"{status}; {', '.join(numbers) or 'no counters'}"


def may_come(answer: FinalResponse, asked: int) -> int:
    """Return how many of the objects asked for may still be on their way once the answer is here."""
    if answer.status_code is None:
        return 0
    if answer.sent is not None:
        return min(answer.sent, asked)
    return max(0, asked - answer.failures) if answer.succeeded else 0


def claimed(answer: FinalResponse, sop_instance_uids: Sequence[str]) -> frozenset[str]:
    """Return the objects that arrived if the PACS's word is all there is; what is unclear did not.

    A series that names no objects stands as one empty UID.
    """
    if not answer.succeeded and not answer.sent:
        return frozenset()
    failed = frozenset(answer.failed_sop_instance_uids)
    rest = frozenset(sop_instance_uids) - failed
    if answer.failures > len(failed):
        return frozenset()
    if rest == {""}:
        return rest if answer.sent != 0 else frozenset()
    return rest if answer.sent is None or answer.sent >= len(rest) else frozenset()


def reason_of(error: PeerError) -> Reason:
    """Return the code for what a peer did."""
    if isinstance(error, StoreError):
        return Reason.STORE_UNREACHABLE
    code = error.status_code
    if code is not None:
        if code == DESTINATION_UNKNOWN:
            return Reason.MOVE_DESTINATION_UNKNOWN
        out_of_resources = 0xA700 <= code <= 0xA7FF  # noqa: PLR2004 - PS3.4 C.4.2.1.5
        return Reason.OUT_OF_RESOURCES if out_of_resources else Reason.STATUS_FAILURE
    if error.outcome is Outcome.TIMED_OUT:
        return Reason.REMOTE_UNREACHABLE if error.associating else Reason.TIMED_OUT
    if error.outcome is Outcome.REJECTED:
        return Reason.NODE_BUSY if error.congested else Reason.ASSOCIATION_REJECTED
    return _REASONS.get(error.outcome, Reason.ABORTED)


_REASONS = {
    Outcome.CONNECTION_REFUSED: Reason.REMOTE_UNREACHABLE,
    Outcome.HOST_NOT_FOUND: Reason.REMOTE_UNREACHABLE,
    Outcome.NOT_SUPPORTED: Reason.CONTEXT_NOT_ACCEPTED,
    Outcome.BAD_ANSWER: Reason.STATUS_FAILURE,
}
