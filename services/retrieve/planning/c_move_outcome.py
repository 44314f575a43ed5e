"""What follows from the final responses to a task's requests and from what arrived (PS3.4 C.4.2.1.5). Pure.

`response_outcome` is the table for one response; `conclude` applies it to each request of a task.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.attempts import (
    DESTINATION_UNKNOWN,
    SUCCESS,
    UNNAMED,
    Attempt,
    FinalResponse,
    MoveAttempts,
)
from services.retrieve.planning.bisection import cut
from services.retrieve.planning.moves import LIST_MAX_LENGTH, SeriesPart
from services.retrieve.planning.payloads import MAX_ROUNDS, AwaitOrder, MoveOrder, SeriesKey, move_tasks
from shared.contract.reasons import Reason
from shared.dicom.errors import ACCESS_REFUSALS, NoSpaceError, Outcome, PeerError, StoreError
from shared.jobs.new_task import NewTask

#: Identifier does not match SOP class (PS3.4 C.4.2.1.5): the PACS does not take the request in this form.
IDENTIFIER_REFUSED = 0xA900
#: The same in general statuses (PS3.7 C.5): an invalid or missing attribute or value.
_FORM_REFUSED = frozenset({IDENTIFIER_REFUSED, 0x0106, 0x0115, 0x0120, 0x0121})
#: An object of the request does not exist, or is not what the request describes (PS3.7 C.5).
_OBJECT_REFUSED = frozenset({0x0112, 0x0117, 0x0118, 0x0119})
#: The same request always gives the same response.
_FINAL = frozenset({0x0122, 0x0124, 0x0211, 0x0212})


class Action(StrEnum):
    """What follows for the objects of a request that did not arrive."""

    #: There are none.
    DONE = "done"
    #: Request them again now, at IMAGE level.
    REQUEST_REST = "ask_rest"
    #: One object of a list may have spoilt the rest: request shorter lists.
    CUT = "cut"
    #: The PACS does not take the request in this form: use a simpler one.
    REQUEST_SIMPLER = "ask_simpler"
    #: Request them again after a pause.
    TRY_LATER = "try_later"
    #: Another request is useless.
    GIVE_UP = "give_up"
    #: No other C-MOVE of the job can succeed either.
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class ResponseOutcome:
    """What follows from one response, and what the ledger records of objects that never come."""

    action: Action
    #: `failed`: the PACS reports a failure; `missing`: it reports that they were sent.
    state: str
    reason: Reason
    detail: str


def response_outcome(
    response: FinalResponse,
    *,
    requested: int,
    arrived: int,
    simplest: bool,
    several: bool = False,
    spent: bool = False,
) -> ResponseOutcome:
    """Return what follows from one response.

    `simplest`: there is no simpler form of the request; `several`: it was a list, of which one member may
    have spoilt the rest; `spent`: a list that fails is not tried again as it is.
    """
    if arrived >= requested:
        return ResponseOutcome(Action.DONE, "arrived", Reason.NOT_ARRIVED, "")
    if response.succeeded:
        return _after_success(response, spoilt=several and not arrived)
    error = response.error or PeerError(Outcome.ABORTED, "no final response")
    action = _after_failure(response, error, arrived, simplest=simplest, several=several)
    if spent and several and action in (Action.TRY_LATER, Action.REQUEST_REST):
        action = Action.CUT
    return ResponseOutcome(action, "failed", reason_of(error), str(error))


def _after_success(response: FinalResponse, *, spoilt: bool) -> ResponseOutcome:
    if response.failures or response.status_code != SUCCESS:
        action = Action.CUT if spoilt else Action.REQUEST_REST
        return ResponseOutcome(action, "failed", Reason.STATUS_FAILURE, str(response))
    reason = Reason.MOVED_NOTHING if response.sent == 0 else Reason.NOT_ARRIVED
    return ResponseOutcome(Action.REQUEST_REST, "missing", reason, str(response))


def _after_failure(
    response: FinalResponse, error: PeerError, arrived: int, *, simplest: bool, several: bool
) -> Action:
    code = response.status_code
    if code == DESTINATION_UNKNOWN:
        return Action.STOP
    unable = code is not None and 0xC000 <= code <= 0xCFFF  # noqa: PLR2004 - PS3.4 C.4.2.1.5
    if several and (unable or code in _FINAL or code in _OBJECT_REFUSED):
        return Action.CUT
    if arrived:
        return Action.REQUEST_REST
    if code in _FINAL or (code is None and error.permanent):
        return Action.GIVE_UP
    if (unable or code in _FORM_REFUSED) and not simplest:
        return Action.REQUEST_SIMPLER
    return Action.GIVE_UP if code == IDENTIFIER_REFUSED else Action.TRY_LATER


def reason_of(error: PeerError) -> Reason:
    """Return the reason code for what a peer did."""
    if isinstance(error, (NoSpaceError, StoreError)):
        return Reason.DISK_FULL if isinstance(error, NoSpaceError) else Reason.STORE_UNREACHABLE
    if error.outcome is Outcome.STATUS or error.status_code is not None:
        return _reason_of_status(error)
    if error.outcome is Outcome.TIMED_OUT:
        return Reason.REMOTE_UNREACHABLE if error.associating else Reason.TIMED_OUT
    if error.outcome is Outcome.REJECTED:
        return Reason.NODE_BUSY if error.congested else Reason.ASSOCIATION_REJECTED
    return _REASONS.get(error.outcome, Reason.ABORTED)


def _reason_of_status(error: PeerError) -> Reason:
    code = error.status_code
    if code == DESTINATION_UNKNOWN:
        return Reason.MOVE_DESTINATION_UNKNOWN
    if code is not None and 0xA700 <= code <= 0xA7FF:  # noqa: PLR2004 - PS3.4 C.4.2.1.5
        return Reason.OUT_OF_RESOURCES
    if error.http_status is None:
        return Reason.STATUS_FAILURE
    return Reason.NODE_BUSY if error.congested else Reason.HTTP_ERROR


_REASONS = MappingProxyType(
    {
        Outcome.CONNECTION_REFUSED: Reason.REMOTE_UNREACHABLE,
        Outcome.HOST_NOT_FOUND: Reason.REMOTE_UNREACHABLE,
        Outcome.NOT_SUPPORTED: Reason.CONTEXT_NOT_ACCEPTED,
        Outcome.NO_DICOMWEB: Reason.NO_DICOMWEB,
        Outcome.NOT_FOUND: Reason.NOT_FOUND,
        **dict.fromkeys(ACCESS_REFUSALS, Reason.ACCESS_REFUSED),
        Outcome.BAD_RESPONSE: Reason.STATUS_FAILURE,
    }
)


@dataclass(frozen=True, slots=True)
class Loss:
    """Objects that are given up, and why."""

    part: SeriesPart
    outcome: ResponseOutcome


@dataclass(slots=True)
class Conclusion:
    """What follows from one task."""

    tasks: list[NewTask] = field(default_factory=list)
    losses: list[Loss] = field(default_factory=list)
    #: Unlisted series of which nothing more comes.
    complete: list[SeriesKey] = field(default_factory=list)
    #: Unlisted series that have more objects than announced and than came, each with their number.
    larger: dict[SeriesKey, int] = field(default_factory=dict)
    #: Unlisted series of which only the word of the PACS says what was sent, each with that number where it
    #: is less than announced: some count sub-operations twice.
    reported: dict[SeriesKey, int] = field(default_factory=dict)
    #: No other C-MOVE of the job can succeed.
    stop: ResponseOutcome | None = None
    #: Nothing arrived, and the same is to be tried after a pause.
    retry: PeerError | None = None
    #: Objects that the PACS reports as sent, and that may be on their way.
    awaited: list[AwaitOrder] = field(default_factory=list)


def conclude(
    order: MoveOrder, attempts: MoveAttempts, arrivals: Arrivals, waited_s: float | None = None
) -> Conclusion:
    """Return what follows from the requests of a task; `arrivals` is all of it that arrived.

    `waited_s`: seconds waited so far for what may be on its way; None if it is not waited for any longer.
    """
    conclusion, groups = Conclusion(), _TaskGroups()
    later: list[Attempt] = []
    for attempt in attempts.attempts:
        outcome = _outcome_of(order, attempt, arrivals)
        first = attempt.move.parts[0]
        size = _size_of_unlisted(attempt, arrivals)
        if first.announced and size > max(first.announced, arrivals.of(first)):
            conclusion.larger[first.key] = size
        if outcome.action is Action.STOP:
            conclusion.stop = outcome
        elif outcome.action is Action.TRY_LATER:
            later.append(attempt)
        elif outcome.action is Action.DONE:
            conclusion.complete += [part.key for part in attempt.move.parts if part.unlisted]
            if (sent := _reported_below_announced(attempt, arrivals)) is not None:
                conclusion.reported[first.key] = sent
        elif waited_s is not None and _may_be_on_its_way(attempt, arrivals):
            failed, late = _failed_and_late(attempt, arrivals.missing_of(attempt.move.parts))
            here = arrivals.count(late)
            conclusion.awaited.append(_awaited(order, attempt, outcome, late, waited_s, here))
            _request_or_lose(
                order, attempt, replace(outcome, action=Action.REQUEST_REST), failed, groups, conclusion
            )
        elif outcome.action is Action.CUT:
            _request_in_pieces(order, attempt, arrivals, groups)
        else:
            rest = arrivals.missing_of(attempt.move.parts)
            _request_or_lose(order, attempt, outcome, rest, groups, conclusion)
    groups.add(order, [part for move in attempts.unsent for part in move.parts])
    conclusion.retry = _retry(order, attempts, later, arrivals)
    _request_later(order, later, groups)
    conclusion.tasks = groups.tasks()
    return conclusion


def _outcome_of(order: MoveOrder, attempt: Attempt, arrivals: Arrivals) -> ResponseOutcome:
    move, response = attempt.move, attempt.response
    requested, arrived = attempt.expected, arrivals.count(move.parts)
    first = move.parts[0]
    if first.unlisted and arrived:
        # Nobody knows how many objects it has: what the PACS announced, or reports as sent, is all there is.
        sent = response.sent if response.succeeded and not response.failures else None
        if arrivals.unlisted[first.key] == UNNAMED or (sent is not None and arrived >= sent):
            requested = arrived
        elif not first.announced and not response.succeeded:
            requested = arrived + 1
        elif first.announced:
            requested = _size_of_unlisted(attempt, arrivals)
    return response_outcome(
        response,
        requested=requested,
        arrived=arrived,
        simplest=move.simplest,
        several=move.is_list,
        spent=order.spent,
    )


def _size_of_unlisted(attempt: Attempt, arrivals: Arrivals) -> int:
    """Return how many objects a series has: the announced number, or more.

    The counters of the PACS show more where objects failed, or where more came than was announced.
    """
    first, response = attempt.move.parts[0], attempt.response
    announced = first.announced or 0
    here = arrivals.unlisted.get(first.key, set())
    if not first.unlisted or not (response.failures or len(here) > announced):
        return announced
    failed = len(frozenset(response.failed_sop_instance_uids) - here)
    return max(announced, len(here) + failed, (response.sent or 0) + response.failures)


def _reported_below_announced(attempt: Attempt, arrivals: Arrivals) -> int | None:
    """Return how many objects the PACS reports as sent, if only its word counts and it announced no fewer."""
    first, sent = attempt.move.parts[0], attempt.response.sent
    if not sent or arrivals.unlisted.get(first.key, set()) != UNNAMED:
        return None
    return sent if not first.announced or sent < first.announced else None


def _may_be_on_its_way(attempt: Attempt, arrivals: Arrivals) -> bool:
    return attempt.response.succeeded and attempt.may_come > arrivals.count(attempt.move.parts)


def _failed_and_late(
    attempt: Attempt, rest: Sequence[SeriesPart]
) -> tuple[list[SeriesPart], list[SeriesPart]]:
    """Separate what the PACS names as failed from what it may have sent."""
    named = frozenset(attempt.response.failed_sop_instance_uids)
    late = [left for part in rest if (left := part if part.unlisted else part.without(named)) is not None]
    sent = {uid for part in late for uid in part.sop_instance_uids}
    failed = [left for part in rest if (left := part.without(sent)) is not None]
    return failed, late


def _awaited(
    order: MoveOrder,
    attempt: Attempt,
    outcome: ResponseOutcome,
    late: Sequence[SeriesPart],
    waited_s: float,
    here: int,
) -> AwaitOrder:
    next_round = _next_round(order, attempt)
    last = next_round.round > MAX_ROUNDS
    again = next_round.of(part.by_objects() for part in late)
    loss = (outcome.state, outcome.reason.value, outcome.detail) if last else None
    if not attempt.move.parts[0].unlisted:
        return AwaitOrder(again, loss, 0, waited_s)
    return AwaitOrder(again, loss, attempt.may_come, waited_s, here=here)


def _next_round(order: MoveOrder, attempt: Attempt) -> MoveOrder:
    """Return the order for what did not arrive: in lists, and one by one what did not come in a list.

    What was broken off is requested as it was: something of it has arrived, so this has an end.
    """
    of_images = attempt.move.level == "IMAGE"
    if not attempt.response.succeeded and not attempt.move.parts[0].unlisted:
        return replace(order, longest=order.longest if of_images else LIST_MAX_LENGTH, again=False)
    return replace(order, round=order.round + 1, longest=1 if of_images else LIST_MAX_LENGTH, again=False)


def _request_or_lose(
    order: MoveOrder,
    attempt: Attempt,
    outcome: ResponseOutcome,
    rest: Sequence[SeriesPart],
    groups: _TaskGroups,
    conclusion: Conclusion,
) -> None:
    """Request the rest in a simpler form or in the next round; give it up where neither is left."""
    by_objects = [part.by_objects() for part in rest]
    next_round = _next_round(order, attempt)
    if outcome.action is Action.REQUEST_SIMPLER and attempt.move.is_list:
        groups.add(order.in_lists_of(1), rest)
    elif outcome.action is Action.REQUEST_SIMPLER:
        # In no longer lists than its own: what another series brings to one may spoil it.
        groups.add(order.in_lists_of(attempt.move.size), by_objects)
    elif outcome.action is Action.REQUEST_REST and next_round.round <= MAX_ROUNDS:
        groups.add(next_round, by_objects)
    else:
        conclusion.losses += [Loss(part, outcome) for part in rest]


def _request_in_pieces(order: MoveOrder, attempt: Attempt, arrivals: Arrivals, groups: _TaskGroups) -> None:
    failed = frozenset(attempt.response.failed_sop_instance_uids)
    for piece in cut(attempt.move, arrivals.sop_instance_uids, failed):
        groups.add(order.in_lists_of(piece.longest), piece.parts)


def _request_later(order: MoveOrder, later: Sequence[Attempt], groups: _TaskGroups) -> None:
    """Request again after a pause: together what got a response, each by itself what got none."""
    for attempt in later:
        alone = attempt.response.status_code is None
        # A single object has no shorter list to be requested in, once it was tried often enough.
        single = attempt.move.level == "IMAGE" and not attempt.move.is_list
        longest = 1 if single else order.longest
        groups.add(replace(order, again=True, longest=longest), attempt.move.parts, alone=alone)


def _retry(
    order: MoveOrder, attempts: MoveAttempts, later: Sequence[Attempt], arrivals: Arrivals
) -> PeerError | None:
    if arrivals:
        return None
    if attempts.no_association is not None:
        return attempts.no_association
    hopeless = len(later) == len(attempts.attempts) > 0 and not attempts.unsent
    if hopeless and (order.again or len(later) == 1):
        return later[-1].response.error
    return None


class _TaskGroups:
    """Parts of the tasks to come, grouped by the order that they are requested with."""

    def __init__(self) -> None:
        self._parts: dict[MoveOrder, list[SeriesPart]] = {}
        self._alone: list[NewTask] = []

    def add(self, order: MoveOrder, parts: Iterable[SeriesPart], *, alone: bool = False) -> None:
        """Add parts to be requested with this order, together with others or as one task of their own."""
        if alone:
            self._alone += move_tasks(parts, order)
        else:
            self._parts.setdefault(order.of(()), []).extend(parts)

    def tasks(self) -> list[NewTask]:
        """Return the tasks."""
        together = [task for order, parts in self._parts.items() for task in move_tasks(parts, order)]
        return together + self._alone
