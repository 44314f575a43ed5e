"""When requests that fail and bring nothing become rare, and when they end. Pure.

A PACS that cannot reach the store would otherwise send every object of a job a dozen times for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.retrieve.planning.moves import SeriesPart
from shared.backoff import Backoff
from shared.dicom.errors import Outcome, PeerError

#: Requests of a job in succession that fail and bring nothing before single objects are requested with
#: pauses: while nothing of the job has arrived, and once something has.
MOST_AT_FIRST, MOST = 20, 100
#: Pauses between these single objects.
PAUSES = Backoff(1.0, 30.0)
#: Single objects that are requested at least before the job ends: until the pauses are at their longest.
LEAST_SINGLE = 6

#: Codes of errors that speak of the object and not of the way to the store (PS3.7 C.5).
_OF_THE_OBJECT = frozenset({"not_found", "status_0112", "status_0117", "status_0118", "status_0119"})


@dataclass(frozen=True, slots=True)
class PastRequest:
    """One request of a job, by its row in the ledger."""

    asked_at: datetime
    duration_ms: int
    status_code: int | None
    completed: int | None
    warning: int | None
    failed: int | None
    error: str

    @property
    def ended_at(self) -> datetime:
        """When its final response came."""
        return self.asked_at + timedelta(milliseconds=self.duration_ms)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.status_code is None:
            return self.error.replace("_", " ")
        return f"status 0x{self.status_code:04X}"

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        return Outcome.STATUS if self.status_code is not None else Outcome(self.ending)

    @property
    def is_fruitless(self) -> bool:
        """Whether it failed, and the PACS reports nothing as sent."""
        return not (self.completed or self.warning) and bool(self.error or self.failed)


@dataclass(frozen=True, slots=True)
class Streak:
    """The last requests of a job, the newest first, all of which failed and brought nothing."""

    requests: tuple[PastRequest, ...]
    #: After how many of them single objects are requested.
    most: int

    @property
    def is_long(self) -> bool:
        """Whether it is time for single objects."""
        return len(self.requests) >= self.most

    @property
    def singles(self) -> int:
        """How many single objects were requested since then, as far as the ledger was read."""
        return len(self.requests) - self.most

    @property
    def next_at(self) -> datetime:
        """When the next single object may be requested."""
        return self.requests[0].ended_at + timedelta(seconds=PAUSES.pause_s(self.singles))


def streak_of(requests: Sequence[PastRequest], *, anything_arrived: bool) -> Streak:
    """Return the requests at the head of these, newest first, that brought nothing.

    Those that name an object which the PACS does not have are left out: they show nothing about the others.
    """
    run: list[PastRequest] = []
    for request in requests:
        if not request.is_fruitless:
            break
        if request.error not in _OF_THE_OBJECT:
            run.append(request)
    return Streak(tuple(run), MOST if anything_arrived else MOST_AT_FIRST)


def single_object(parts: Sequence[SeriesPart], place: float) -> tuple[SeriesPart, list[SeriesPart]]:
    """Return an object of these parts, and the rest; an unlisted series stands for an object.

    `place`, from 0 to below 1, names the object: one that spoils its request must not be taken for ever.
    """
    objects = [(part, uid) for part in parts for uid in part.sop_instance_uids or ("",)]
    chosen, uid = objects[int(place * len(objects))]
    others = [part for part in parts if part is not chosen]
    left = chosen.without({uid})
    if left is None:
        return chosen, others
    return replace(chosen, sop_instance_uids=(uid,), whole=False), [*others, left]


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """The store node of a retrieve; `by_pacs`: the PACS itself sends to it."""

    ae_title: str
    host: str
    port: int
    by_pacs: bool


def streak_detail(streak: Streak, store: StoreAddress, refusal: str = "") -> str:
    """Return what the last requests came to, and what to do; `refusal`: what the store node refused."""
    number, last = len(streak.requests), streak.requests[0].ending
    if refusal:
        return f"the last {number} requests brought nothing (the last one: {last}); {refusal}"
    if not store.by_pacs:
        return f"the last {number} requests brought nothing (the last one: {last})"
    return (
        f"the last {number} requests brought nothing (the last one: {last}); check that the PACS reaches "
        f"{store.ae_title} at {store.host}, port {store.port}"
    )


class FruitlessError(PeerError):
    """No request of a job has brought anything for as long as a node that is away is waited for."""

    def __init__(self, streak: Streak, store: StoreAddress, refusal: str = "") -> None:
        last = streak.requests[0]
        detail = streak_detail(streak, store, refusal)
        super().__init__(last.outcome, detail, status_code=last.status_code, permanent=True)
