"""Which fault strikes which request: counts fitting requests over all associations, thread-safe."""

import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from simulator.archive.model import ArchiveMatch
from simulator.behaviour import Behaviour, Fault, Operation


@dataclass(frozen=True, slots=True)
class RequestDetails:
    """The details of a request that a fault's conditions can name."""

    operation: Operation
    calling_ae_title: str = ""
    level: str | None = None
    uids: frozenset[str] = frozenset()
    codes: frozenset[str] = field(default=frozenset())


def fits(fault: Fault, details: RequestDetails) -> bool:
    """Return whether the conditions of a fault, other than its counting, hold for a request."""
    return (
        fault.operation == details.operation
        and (fault.level is None or fault.level == details.level)
        and (fault.uid is None or fault.uid in details.uids)
        and (fault.code is None or fault.code in details.codes)
        and (fault.calling_ae_title is None or fault.calling_ae_title == details.calling_ae_title)
    )


class FaultBook:
    """The behaviour in force and the count of the requests that fit each fault."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._lock = threading.Lock()
        self._behaviour = behaviour
        # Counted by place and identity: the same fault written twice strikes twice.
        self._fitting: Counter[int] = Counter()
        self._struck: Counter[int] = Counter()
        self._lost: Counter[str] = Counter()

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour in force; immutable, so that a request sees one behaviour from begin to end."""
        return self._behaviour

    def replace(self, behaviour: Behaviour) -> None:
        """Put another behaviour in force; counts go on where faults were only added at the end."""
        with self._lock:
            before = self._behaviour
            self._behaviour = behaviour
            if behaviour.faults[: len(before.faults)] != before.faults:
                self._fitting.clear()
                self._struck.clear()
            if behaviour.fail_times != before.fail_times:
                self._lost.clear()

    def strike(self, details: RequestDetails) -> Fault | None:
        """Count a request and return the fault that strikes it, if one does."""
        return self._strike(details, None)

    def strike_response(self, details: RequestDetails, match: ArchiveMatch) -> Fault | None:
        """Count a response about an entity that some fault names; return the fault that strikes it."""
        if not any(fault.answer for fault in self._behaviour.faults):
            return None
        return self._strike(details, _uids(match))

    def _strike(self, details: RequestDetails, entities: frozenset[str] | None) -> Fault | None:
        with self._lock:
            chosen: Fault | None = None
            for place, fault in enumerate(self._behaviour.faults):
                about = fault.answer is None if entities is None else fault.answer in entities
                if not about or not fits(fault, details):
                    continue
                self._fitting[place] += 1
                if chosen is None and self._is_due(place, fault):
                    self._struck[place] += 1
                    chosen = fault
            return chosen

    def _is_due(self, place: int, fault: Fault) -> bool:
        since_first = self._fitting[place] - (fault.nth or 1)
        if since_first < 0 or since_first % fault.every:
            return False
        return fault.always or fault.times is None or self._struck[place] < fault.times

    def struck(self) -> int:
        """Return how often faults have struck."""
        with self._lock:
            return sum(self._struck.values())

    def lose(self, sop_instance_uid: str) -> bool:
        """Return whether an object that is to fail still fails, and count it (`fail_times`)."""
        with self._lock:
            limit = self._behaviour.fail_times
            if limit is not None and self._lost[sop_instance_uid] >= limit:
                return False
            self._lost[sop_instance_uid] += 1
            return True


def _uids(match: ArchiveMatch) -> frozenset[str]:
    """Return the UIDs of an entity and of what it belongs to."""
    uids = {match.study.study_instance_uid}
    if match.series is not None:
        uids.add(match.series.series_instance_uid)
    if match.instance is not None:
        uids.add(match.instance.sop_instance_uid)
    return frozenset(uids)


def codes_in(values: Iterable[str]) -> frozenset[str]:
    """Return the non-empty values, for the facts of a request."""
    return frozenset(value for value in values if value)
