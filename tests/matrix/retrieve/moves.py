"""Faults of a retrieve: what a PACS may do with a C-MOVE or C-GET, and how the retrieve ends.

Requests are written as `S` (whole series, one or several) and `I3` (three single objects); objects that are
lost are named by their place among those that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from simulator.archive.model import Study
from simulator.behaviour import Fault


@dataclass(frozen=True)
class Case:
    """What one row requests: the kept objects of a study, which has two series of five and two objects.

    For long lists the first series has 41; those from the tenth on are kept, so that sorted by UID they stand
    as the PACS sends them.
    """

    study: Study
    kept: tuple[str, ...]

    @property
    def first_series(self) -> str:
        return self.study.series[0].series_instance_uid


Traits = Callable[[Case], Mapping[str, Any]]

KEPT = {"series": "whole series", "list": "three objects", "long": "32 objects", "single": "one object"}
STORES_BY_NAME = {
    "own": "DoseQR's store",
    "plain": "a store without queries",
    "archive": "a store with queries",
}


@dataclass(frozen=True)
class Row:
    """One behaviour of a PACS or store, and the end it leads to."""

    fault: str
    traits: Traits
    status: str = "completed"
    #: What is kept: all of both series (series), three objects of one (list), 32 of one (long), one (single).
    kept: str = "series"
    store: str = "own"
    #: Places of the kept objects that are lost, and how they stand in the ledger.
    lost: tuple[int, ...] = ()
    lost_as: tuple[str, str] = ("", "")
    failure: str = ""
    #: The requests in order; None where it depends on who is faster.
    requests: str | None = None
    at_most: int = 99
    #: Whether each request either brings all that it names or fails before its first object.
    fails_at_once: bool = False
    #: Statuses of the store for single places, given out once or always.
    store_refuses: Mapping[int, int] = field(default_factory=dict)
    store_refuses_always: bool = False

    @property
    def moment(self) -> str:
        return f"C-MOVE of {KEPT[self.kept]} to {STORES_BY_NAME[self.store]}"

    @property
    def ending(self) -> str:
        failure = f" ({self.failure})" if self.failure else ""
        if not self.lost:
            return f"{self.status}{failure}; all objects arrive"
        lost = "all objects" if self.failure else f"{len(self.lost)} of the objects"
        return f"{self.status}{failure}; {lost} in the ledger as {self.lost_as[0]} ({self.lost_as[1]})"

    @property
    def waits_for_nothing(self) -> bool:
        """Whether no time-out is part of the behaviour: a busy machine may not add a request by one."""
        once = self.requests is not None and len(self.requests.split()) == 1
        return not self.lost and (once or self.fails_at_once)


def always(**traits: Any) -> Traits:
    return lambda _case: traits


def fault(**fields: Any) -> Traits:
    return lambda _case: {"faults": [Fault(operation="move", **fields)]}


def with_places(places: tuple[int, ...], name: str, **traits: Any) -> Traits:
    return lambda case: {name: [case.kept[place] for place in places], **traits}


def both(*parts: Traits) -> Traits:
    return lambda case: {name: value for part in parts for name, value in part(case).items()}


def spoilt(place: int, status: int, **fields: Any) -> Traits:
    """Answer with a status, and send nothing, whenever an object is named."""
    return lambda case: {
        "faults": [
            Fault(operation="move", kind="status", status=status, uid=case.kept[place], always=True, **fields)
        ]
    }


def stops_at(place: int, status: int) -> Traits:
    """Send the first list as far as an object, and respond with a status whenever it is named."""

    def traits(case: Case) -> Mapping[str, Any]:
        named: dict[str, Any] = {"operation": "move", "kind": "status", "uid": case.kept[place]}
        first = Fault(status=status, after_responses=place, **named)
        return {"faults": [first, Fault(status=status, always=True, **named)]}

    return traits


def broken_series(status: int) -> Traits:
    return lambda case: {
        "faults": [
            Fault(operation="move", kind="status", status=status, uid=case.first_series, always=True),
        ]
    }


FIRST = (0, 1, 2, 3, 4)
EVERY = (0, 1, 2, 3, 4, 5, 6)
NOT_ARRIVED = ("missing", "not_arrived")
NOTHING = ("missing", "moved_nothing")
REFUSED = ("failed", "status_failure")
NO_RESOURCES = ("failed", "out_of_resources")

# fmt: off
#: Every way in which a PACS says that it is done.
SUCCESSES = [
    Row("whole series and right counters", always(), requests="S"),
    Row("a list and right counters", always(), kept="list", requests="I3"),
    Row("a single object and right counters", always(), kept="single", requests="I1"),
    Row("whole series to a store that answers queries", always(), store="archive", requests="S"),
    Row("whole series to a store that only takes", always(), store="plain", requests="S"),
    Row("success without counters", always(move_counters="absent"), requests="S"),
    Row("success without counters, to a store that only takes",
        always(move_counters="absent"), store="plain", requests="S"),
    Row("counters in the final response only", always(move_counters="final_only"), requests="S"),
    Row("no Pending responses", always(move_pending=False), requests="S"),
    Row("counters of zero though all was sent", always(move_counters="zero"), requests="S"),
    Row("counters of twice as much", always(move_counters="doubled"), requests="S"),
    Row("0xB000 though all arrived", always(move_status=0xB000), requests="S"),
    Row("0xB000 though all arrived, without counters",
        always(move_status=0xB000, move_counters="absent"), kept="list", requests="I3"),
    Row("0xB007 of the store for an object, counted as warning", always(),
        store="plain", store_refuses={0: 0xB007}, store_refuses_always=True, requests="S"),
    Row("more objects of the study than requested", always(extra_objects=2), kept="list", requests="I3"),
    Row("objects of another study beside those requested", always(foreign_objects=4), requests="S"),
    Row("each object on an association of its own", always(association_per_object=True), requests="S"),
    Row("every object twice", always(store_twice=True), requests="S"),
    Row("all is sent after the final response", always(move_later_s=0.15), requests="S"),
    Row("all is sent after the final response, one by one and slowly",
        always(move_later_s=0.15, store_pause_s=0.15), at_most=9),
]

#: Objects that do not come though the PACS reports that all is well.
LOSSES = [
    Row("success with one failed, and then it is sent",
        with_places((1,), "fail", move_status=0, fail_times=1), requests="S I1"),
    Row("success with one failed, each time", with_places((1,), "fail", move_status=0),
        status="incomplete", lost=(1,), lost_as=REFUSED, requests="S I1 I1"),
    Row("success, and one object never comes", with_places((3,), "never_arrive"),
        status="incomplete", lost=(3,), lost_as=NOT_ARRIVED, requests="S I1 I1"),
    Row("success, and one object of a list comes only the second time",
        with_places((2,), "never_arrive", fail_times=1), kept="list", requests="I3 I1"),
    Row("success, and a single object never comes", with_places((0,), "never_arrive"), kept="single",
        status="failed", failure="nothing_arrived", lost=(0,), lost_as=NOT_ARRIVED, requests="I1 I1 I1"),
    Row("success, and one never reaches a store that answers queries",
        with_places((3,), "never_arrive"), store="archive",
        status="incomplete", lost=(3,), lost_as=NOT_ARRIVED, requests="S I1 I1"),
    Row("success without counters, and one object never comes",
        with_places((3,), "never_arrive", move_counters="absent"),
        status="incomplete", lost=(3,), lost_as=NOT_ARRIVED, requests="S I1 I1"),
    Row("counters of twice as much, and one object comes the second time",
        with_places((3,), "never_arrive", move_counters="doubled", fail_times=1), requests="S I1"),
    Row("success, and nothing of it comes", with_places(EVERY, "never_arrive"),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=NOT_ARRIVED),
    Row("success with zero objects", always(move_nothing=True),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=NOTHING, at_most=12),
    Row("success with zero objects and no counters", always(move_nothing=True, move_counters="absent"),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=NOT_ARRIVED, at_most=12),
    Row("success with zero objects, to a store that only takes", always(move_nothing=True),
        store="plain", status="failed", failure="nothing_arrived", lost=EVERY, lost_as=NOTHING, at_most=12),
    Row("0xB000 with a list of what failed, and then it is sent",
        with_places((0, 6), "fail", fail_times=1), requests="S I1 I1"),
    Row("0xB000 without a list of what failed, and then it is sent",
        with_places((0, 1), "fail", fail_times=1, move_failed_list=False), requests="S I2"),
    Row("0xB000 and neither list nor counters",
        with_places((0, 1), "fail", fail_times=1, move_failed_list=False, move_counters="absent"),
        requests="S I2"),
    Row("0xB000 each time for one object of a list", with_places((1,), "fail", move_status=0xB000),
        kept="list", status="incomplete", lost=(1,), lost_as=REFUSED, requests="I3 I1 I1"),
    Row("0xB000 and nothing came", with_places(EVERY, "fail", move_status=0xB000),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=REFUSED, at_most=24),
    Row("the objects that failed are named, to a store that only takes",
        with_places((1,), "fail"), store="plain",
        status="incomplete", lost=(1,), lost_as=NO_RESOURCES),
]

#: Statuses that are no success.
REFUSALS = [
    Row("0xA701 once", fault(kind="status", status=0xA701), requests="S S"),
    Row("0xA701 each time", always(move_refused_with=0xA701), kept="list",
        status="failed", failure="nothing_arrived", lost=(0, 1, 2), lost_as=NO_RESOURCES, at_most=16),
    Row("0xA702 before the first object", fault(kind="status", status=0xA702), requests="S S"),
    Row("0xA702 after the third object", fault(kind="status", status=0xA702, after_responses=3),
        requests="S I2 I2"),
    Row("0xA702 after the first object of a list",
        fault(kind="status", status=0xA702, after_responses=1), kept="list", requests="I3 I2"),
    Row("0xA702 for every list", fault(kind="status", status=0xA702, level="SERIES", always=True),
        at_most=9),
    Row("0xA801", always(move_refused_with=0xA801),
        status="failed", failure="move_destination_unknown", lost=EVERY,
        lost_as=("failed", "move_destination_unknown"), requests="S"),
    Row("0xA801 for a single object", always(move_refused_with=0xA801), kept="single",
        status="failed", failure="move_destination_unknown", lost=(0,),
        lost_as=("failed", "move_destination_unknown"), requests="I1"),
    Row("0xA900 for whole series", always(move_levels=["IMAGE"]), at_most=5),
    Row("0xA900 for lists", always(move_uid_lists="refused"), kept="list", requests="I3 I1 I1 I1"),
    Row("0x0120 for lists", always(move_uid_lists="refused", refusal_status=0x0120), kept="list",
        requests="I3 I1 I1 I1"),
    Row("0xC000 for lists", always(move_uid_lists="refused", refusal_status=0xC000), kept="list",
        requests="I3 I2 I1 I1 I1"),
    Row("0xA900 each time", always(move_refused_with=0xA900),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=REFUSED, at_most=12),
    Row("0xC000 once", fault(kind="status", status=0xC000), at_most=4),
    Row("0xC123 once for a single object", fault(kind="status", status=0xC123), kept="single",
        requests="I1 I1"),
    Row("0xC001 each time for a single object", always(move_refused_with=0xC001), kept="single",
        status="failed", failure="nothing_arrived", lost=(0,), lost_as=REFUSED, at_most=6),
    Row("0xC001 each time for one series", broken_series(0xC001),
        status="incomplete", lost=FIRST, lost_as=REFUSED),
    Row("0xA702 each time for one series", broken_series(0xA702),
        status="incomplete", lost=FIRST, lost_as=NO_RESOURCES),
    Row("0x0122 for one series", broken_series(0x0122), status="incomplete", lost=FIRST, lost_as=REFUSED),
    Row("0x0124 for everything", always(move_refused_with=0x0124),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=REFUSED, requests="S S S"),
    Row("0xFE00 without a C-CANCEL", fault(kind="status", status=0xFE00, after_responses=2),
        requests="S I3 I2"),
    Row("0xFE00 each time", always(move_refused_with=0xFE00),
        status="failed", failure="nothing_arrived", lost=EVERY, lost_as=REFUSED, at_most=50),
    Row("a status that the standard does not name", fault(kind="status", status=0x1234), requests="S S"),
    Row("lists of which only the first is taken", always(move_uid_lists="first_only"), kept="list",
        requests="I3 I1 I1"),
    Row("lists for which nothing is sent", always(move_uid_lists="empty"), kept="list",
        requests="I3 I1 I1 I1"),
]

#: One or two objects that spoil a list of 32: each is found in few steps, five for halves.
SPOILT = [
    Row("0xC000 for every list with a certain object", spoilt(20, 0xC000), kept="long",
        status="incomplete", lost=(20,), lost_as=REFUSED, at_most=14),
    Row("0xC000 for every list with one of two objects",
        lambda case: {"faults": [*spoilt(3, 0xC000)(case)["faults"], *spoilt(20, 0xC000)(case)["faults"]]},
        kept="long", status="incomplete", lost=(3, 20), lost_as=REFUSED, at_most=26),
    Row("0xC000 once, where a list holds a certain object",
        lambda case: {"faults": [
            Fault(operation="move", kind="status", status=0xC000, uid=case.kept[20], times=4),
        ]}, kept="long", at_most=9, fails_at_once=True),
    Row("0xC000 at an object, after all before it", stops_at(20, 0xC000), kept="long",
        status="incomplete", lost=(20,), lost_as=REFUSED, at_most=6),
    Row("0x0124 for every list with a certain object", spoilt(20, 0x0124), kept="long",
        status="incomplete", lost=(20,), lost_as=REFUSED, at_most=11),
    Row("0xC000 with a list of what failed", with_places((20,), "fail", move_status=0xC000), kept="long",
        status="incomplete", lost=(20,), lost_as=REFUSED, at_most=5),
    Row("0xB000 without a list of what failed, to a store that only takes",
        with_places((20,), "fail", move_status=0xB000, move_failed_list=False), kept="long", store="plain",
        status="incomplete", lost=(20,), lost_as=REFUSED, at_most=13),
    Row("0xA702 once for a list", fault(kind="status", status=0xA702), kept="long", requests="I32 I32"),
    Row("0xA702 twice for a list", fault(kind="status", status=0xA702, times=2), kept="long",
        requests="I32 I32 I32"),
    Row("an abort of a list before its first object", fault(kind="abort"), kept="long", requests="I32 I32"),
    Row("0xA702 thrice after some of a list",
        fault(kind="status", status=0xA702, after_responses=8, times=3), kept="long",
        requests="I32 I24 I16 I8"),
    Row("rejections for congestion in the middle of a list",
        lambda _case: {"faults": [
            Fault(operation="move", kind="abort", after_responses=8),
            Fault(operation="associate", kind="reject", rejection="temporary_congestion", nth=2, times=2),
        ]}, kept="long", requests="I32 I24"),
    Row("0xA702 for every list with a certain object", spoilt(20, 0xA702), kept="long",
        status="incomplete", lost=(20,), lost_as=NO_RESOURCES, at_most=18),
    Row("an abort of every list with a certain object",
        lambda case: {"faults": [
            Fault(operation="move", kind="abort", uid=case.kept[20], always=True),
        ]}, kept="long", status="incomplete", lost=(20,), lost_as=("failed", "aborted"), at_most=20),
]

#: No final answer, or no association.
ENDINGS = [
    Row("silence at once", fault(kind="never_answer"), requests="S S"),
    Row("silence after the third object", fault(kind="never_answer", after_responses=3),
        requests="S I2 I2"),
    Row("silence after the last object", fault(kind="never_answer", after_responses=7), requests="S"),
    Row("no Pending responses, and slower than the time-out",
        always(move_pending=False, store_pause_s=0.3), at_most=9),
    Row("silence each time", fault(kind="never_answer", always=True), kept="single",
        status="failed", failure="timed_out", lost=(0,), lost_as=("failed", "timed_out"), at_most=6),
    Row("an abort before the first object", fault(kind="abort"), requests="S S"),
    Row("an abort after the third object", fault(kind="abort", after_responses=3), requests="S I2 I2"),
    Row("an abort after the last object", fault(kind="abort", after_responses=7), requests="S"),
    Row("an abort of a list after its first object", fault(kind="abort", after_responses=1), kept="list",
        requests="I3 I2"),
    Row("an abort each time", fault(kind="abort", always=True), kept="list",
        status="failed", failure="nothing_arrived", lost=(0, 1, 2), lost_as=("failed", "aborted"),
        at_most=16),
    Row("a connection that drops after the second object", fault(kind="close", after_responses=2),
        requests="S I3 I2"),
    Row("bytes that are no PDU after the second object", fault(kind="garbage", after_responses=2),
        requests="S I3 I2"),
    Row("rejections for congestion",
        always(faults=[
            Fault(operation="associate", kind="reject", rejection="temporary_congestion", times=2),
        ]),
        requests="S"),
    Row("a rejection for good", always(reject_associations="calling_ae_title_not_recognized"),
        status="failed", failure="association_rejected", lost=EVERY,
        lost_as=("failed", "association_rejected"), requests=""),
    Row("no C-MOVE at all", always(services=["echo", "find"]),
        status="failed", failure="context_not_accepted", lost=EVERY,
        lost_as=("failed", "context_not_accepted"), requests=""),
    Row("one association, and no second one", always(maximum_associations=1), requests="S"),
    Row("one move at a time, and no second one", always(move_limit=1), requests="S"),
]

#: The store at the other end.
STORES = [
    Row("the store is out of resources for two objects, once", always(), store="plain",
        store_refuses={0: 0xA700, 5: 0xA700}, requests="S I1 I1"),
    Row("the store is out of resources for an object, each time", always(), store="plain",
        store_refuses={0: 0xA700}, store_refuses_always=True,
        status="incomplete", lost=(0,), lost_as=NO_RESOURCES),
    Row("the store cannot understand an object, each time", always(), store="plain",
        store_refuses={2: 0xC000}, store_refuses_always=True,
        status="incomplete", lost=(2,), lost_as=NO_RESOURCES),
    Row("the store refuses an object and the PACS reports success", always(move_status=0), store="plain",
        store_refuses={2: 0xA900}, store_refuses_always=True,
        status="incomplete", lost=(2,), lost_as=REFUSED),
]

#: Two things at once.
PAIRS = [
    Row("sent later, and one object is lost the first time",
        with_places((2,), "never_arrive", move_later_s=0.1, fail_times=1), requests="S I1"),
    Row("sent later, without counters", always(move_later_s=0.1, move_counters="absent"), requests="S"),
    Row("one object lost and others of another study instead",
        with_places((2,), "never_arrive", foreign_objects=3, extra_objects=1),
        status="incomplete", lost=(2,), lost_as=NOT_ARRIVED),
    Row("an abort, and every object twice",
        both(fault(kind="abort", after_responses=3), always(store_twice=True)), requests="S I2 I2"),
    Row("an abort, and then the list is refused",
        both(fault(kind="abort", after_responses=3), always(move_uid_lists="refused")),
        at_most=9),
    Row("0xA702, then silence, then success",
        lambda _case: {"faults": [
            Fault(operation="move", kind="status", status=0xA702),
            Fault(operation="move", kind="never_answer", nth=2),
        ]}, at_most=5),
    Row("a broken series, and an object of the other one fails once",
        both(broken_series(0xC001), with_places((5,), "fail", fail_times=1)),
        status="incomplete", lost=FIRST, lost_as=REFUSED),
    Row("lists are refused, and an object fails once",
        with_places((0,), "fail", fail_times=1, move_uid_lists="refused"), kept="list", at_most=6),
    Row("an association for each object, and the store refuses one once",
        always(association_per_object=True), store="plain", store_refuses={1: 0xA700}, requests="S I1"),
    Row("no counters, no list, and the PACS reports success of what the store has refused",
        always(move_status=0, move_failed_list=False), store="archive",
        store_refuses={4: 0xA700}, requests="S I1"),
]
# fmt: on

ROWS = [*SUCCESSES, *LOSSES, *REFUSALS, *SPOILT, *ENDINGS, *STORES, *PAIRS]
