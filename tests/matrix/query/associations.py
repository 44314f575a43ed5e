"""Faults of a query: associations rejected, ended or without a response, time-outs, and pairs of faults."""

from __future__ import annotations

import itertools
from typing import Any

from simulator.behaviour import Fault
from tests.matrix.query.row import (
    EVERYTHING,
    NOTHING,
    QueryRow,
    all_missing,
    at,
    known_beyond,
    of_find,
    study_missing,
    wanted,
)
from tests.support.jobs.ward import CRITERIA, uid_of


def of_association(**fields: Any) -> Fault:
    return Fault(operation="associate", **fields)


_PASSING = {
    "rejected for congestion, twice": of_association(
        kind="reject", rejection="temporary_congestion", times=2
    ),
    "rejected for the local limit, twice": of_association(
        kind="reject", rejection="local_limit_exceeded", times=2
    ),
    "rejected without a reason, once": of_association(kind="reject", rejection="no_reason_given"),
    "aborted, once": of_association(kind="abort"),
    "closed, once": of_association(kind="close"),
    "delayed, once": of_association(kind="delay", delay_s=0.3),
    "every second rejected, three times": of_association(kind="reject", nth=1, every=2, times=3),
}

_REJECTIONS = {
    "congestion": ("temporary_congestion", "node_busy"),
    "the local limit": ("local_limit_exceeded", "node_busy"),
    "no reason": ("no_reason_given", "association_rejected"),
    "our AE title": ("calling_ae_title_not_recognized", "association_rejected"),
    "its AE title": ("called_ae_title_not_recognized", "association_rejected"),
    "the application context": ("application_context_name_not_supported", "association_rejected"),
    "the protocol version": ("protocol_version_not_supported", "association_rejected"),
}

_MAMMOGRAPHY = {"types": ["MG"], "date_from": "2024-03-04", "date_until": "2024-03-06"}
_CT = {"types": ["CT"], "date_from": "2024-03-04", "date_until": "2024-03-06"}

ASSOCIATIONS = [
    *(
        QueryRow(fault=name, moment="association", faults=(fault,), missing=NOTHING, struck_at_least=1)
        for name, fault in _PASSING.items()
    ),
    *(
        QueryRow(
            fault=f"rejected for {name}, each time",
            moment="association",
            traits={"reject_associations": rejection},
            hasty=True,
            statuses=("failed",),
            failure=failure,
            missing=EVERYTHING,
        )
        for name, (rejection, failure) in _REJECTIONS.items()
    ),
    *(
        QueryRow(
            fault=f"{name}, each time",
            moment="association",
            faults=(of_association(kind=kind, always=True),),
            hasty=True,
            statuses=("failed",),
            failure=failure,
            missing=EVERYTHING,
        )
        for name, kind, failure in (
            ("aborted", "abort", "aborted"),
            ("closed", "close", "aborted"),
            ("silence", "never_answer", "remote_unreachable"),
        )
    ),
    QueryRow(
        fault="silence, once",
        moment="association",
        faults=(of_association(kind="never_answer"),),
        hasty=True,
        missing=NOTHING,
    ),
    QueryRow(
        fault="no presentation context for C-FIND",
        moment="association",
        traits={"services": ["echo", "move"]},
        hasty=True,
        statuses=("failed",),
        failure="context_not_accepted",
        missing=EVERYTHING,
    ),
    *(
        # An association ends after each request, and later ones are rejected for good.
        QueryRow(
            fault=f"rejected for {name} from the third on",
            moment="association, in the middle of a query",
            faults=(
                of_association(kind="reject", rejection=rejection, nth=3, always=True),
                Fault(operation="find", kind="abort", nth=4, every=2, always=True),
            ),
            hasty=True,
            statuses=("incomplete", "failed"),
        )
        for name, rejection in (
            ("the local limit", "local_limit_exceeded"),
            ("congestion", "temporary_congestion"),
        )
    ),
]

_SILENT_AFTER = {"before the first match": 0, "after two matches": 2, "after the last match": 10_000}

TIME_OUTS = [
    *(
        QueryRow(
            fault="silence, once",
            moment=at(level, place),
            faults=(of_find(level, kind="never_answer", after_responses=after),),
            learned=known_beyond(level),
            hasty=True,
            missing=NOTHING,
        )
        for level in ("STUDY", "SERIES", "IMAGE")
        for place, after in _SILENT_AFTER.items()
    ),
    *(
        QueryRow(
            fault="silence about one study, each time",
            moment=at(level),
            faults=(of_find(level, kind="never_answer", answer=uid_of("ct_esr"), always=True),),
            learned=known_beyond(level),
            hasty=True,
            statuses=("incomplete",),
            missing=study_missing("ct_esr"),
        )
        for level in ("SERIES", "IMAGE")
    ),
    QueryRow(
        fault="silence, each time",
        moment="C-FIND",
        faults=(Fault(operation="find", kind="never_answer", always=True),),
        criteria=_MAMMOGRAPHY,
        hasty=True,
        statuses=("failed",),
        failure="timed_out",
        missing=all_missing("every study is named as missing", wanted(_MAMMOGRAPHY)),
        finds_below=13,
    ),
    # Longer than the time-out altogether, never between two matches.
    QueryRow(
        fault="a pause before each match",
        moment="C-FIND",
        traits={"answer_delay_s": 0.3},
        criteria=_CT,
        hasty=True,
        missing=NOTHING,
    ),
]

_SINGLE: dict[str, Fault] = {
    "abort at STUDY level": of_find("STUDY", kind="abort", after_responses=1),
    "0xA700 at STUDY level": of_find("STUDY", kind="status", status=0xA700, nth=2),
    "broken study match": of_find("STUDY", kind="bad_data_set", nth=3),
    "close at SERIES level": of_find("SERIES", kind="close", after_responses=2),
    "0xC001 at SERIES level": of_find("SERIES", kind="status", status=0xC001, after_responses=10_000),
    "lost series match": of_find("SERIES", kind="drop_answer", after_responses=3),
    "garbage at IMAGE level": of_find("IMAGE", kind="garbage"),
    "image match without UID": of_find("IMAGE", kind="missing_uid", nth=2),
    "rejected association": of_association(kind="reject", nth=2, times=2),
}

_KEPT_ALIVE = wanted(CRITERIA) - {uid_of("dx_images")}

PAIRS = [
    *(
        QueryRow(
            fault=f"{first} and {second}, once each",
            moment="two moments of a query",
            faults=(_SINGLE[first], _SINGLE[second]),
            missing=NOTHING,
        )
        for first, second in itertools.combinations(_SINGLE, 2)
    ),
    *(
        QueryRow(
            fault=f"0xC002 for one study each time, and {name} once",
            moment="two moments of a query",
            faults=(
                of_find("SERIES", kind="status", status=0xC002, answer=uid_of("mg_rdsr"), always=True),
                fault,
            ),
            statuses=("incomplete",),
            missing=study_missing("mg_rdsr"),
        )
        for name, fault in _SINGLE.items()
    ),
    QueryRow(
        fault="one study aborts and another is broken, each time",
        moment="C-FIND at SERIES and IMAGE level",
        faults=(
            of_find("SERIES", kind="abort", answer=uid_of("mg_images"), always=True),
            of_find("IMAGE", kind="bad_data_set", answer=uid_of("petct"), always=True),
        ),
        statuses=("incomplete",),
        missing=study_missing("mg_images", "petct"),
    ),
    QueryRow(
        fault="0xC002 for every study but one, each time",
        moment=at("SERIES"),
        faults=tuple(
            of_find("SERIES", kind="status", status=0xC002, answer=uid, always=True)
            for uid in sorted(_KEPT_ALIVE)
        ),
        statuses=("incomplete",),
        missing=all_missing("every study but dx_images is missing", _KEPT_ALIVE),
    ),
]

ASSOCIATION_ROWS = [*ASSOCIATIONS, *TIME_OUTS, *PAIRS]
