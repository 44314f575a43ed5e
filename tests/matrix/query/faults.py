"""Faults of a query: what a PACS may do with an association or a C-FIND, and how the query ends.

Whatever happens: each study is judged as if nothing had happened, or named as missing; a query is `completed`
only if nothing is missing.
"""

from __future__ import annotations

import itertools
from typing import Any

from simulator.archive.model import Study
from tests.matrix.query.row import (
    NOTHING,
    Missing,
    QueryRow,
    all_missing,
    at,
    known_beyond,
    of_find,
    study_missing,
    wanted,
)
from tests.support.jobs.ward import ONE, WARD, uid_of

LEVELS = ["STUDY", "SERIES", "IMAGE"]
#: Matches that are sent before: the first, one in the middle, or the end of the response is struck.
PLACES = {"first": 0, "middle": 2, "end": 10_000}
PLACE_TEXTS = {
    "first": "before the first match",
    "middle": "after two matches",
    "end": "after the last match",
}

#: Faults of a request by a name.
ENDINGS: dict[str, dict[str, Any]] = {
    "abort": {"kind": "abort"},
    "close": {"kind": "close"},
    "garbage": {"kind": "garbage"},
    "0xA700": {"kind": "status", "status": 0xA700},
    "0xA701": {"kind": "status", "status": 0xA701},
    "0xC001": {"kind": "status", "status": 0xC001},
    "0xFE00": {"kind": "status", "status": 0xFE00},
    "0xB001": {"kind": "status", "status": 0xB001},
    "0x0110": {"kind": "status", "status": 0x0110},
}
#: Faults of one match that leave it unreadable.
BROKEN: dict[str, dict[str, Any]] = {
    "broken data set": {"kind": "bad_data_set"},
    "no UID": {"kind": "missing_uid"},
}
#: Faults of one match that leave all in it that is needed.
HARMLESS: dict[str, dict[str, Any]] = {
    "wrong character set": {"kind": "wrong_character_set"},
    "unknown character set": {"kind": "unknown_character_set"},
    "10,000 characters of modalities": {"kind": "many_modalities"},
    "delay": {"kind": "delay", "delay_s": 0.2},
}
#: Faults that do not pass.
LASTING: dict[str, dict[str, Any]] = {
    name: (ENDINGS | BROKEN | {"0xA900": {"kind": "status", "status": 0xA900}})[name]
    for name in ("abort", "0xA700", "0xA900", "0xC001", "0xFE00", *BROKEN)
}


def _needs_images(kind: str) -> bool:
    """Return whether a decision about such a study needs the image level."""
    return any(entry.modality in {"SR", "PT", "NM"} for entry in ONE[kind].series)


def _neighbours(study: Study) -> frozenset[str]:
    """Return the studies of the same three hours."""

    def minute(member: Study) -> int:
        assert member.time is not None
        return member.time.hour * 60 + member.time.minute

    near = (
        neighbour
        for neighbour in WARD
        if neighbour.date == study.date and abs(minute(neighbour) - minute(study)) < 180
    )
    return frozenset(neighbour.study_instance_uid for neighbour in near)


# A fault of one C-FIND

PASSING = [
    QueryRow(
        fault=f"{name}, once",
        moment=at(level, PLACE_TEXTS[place]),
        faults=(of_find(level, after_responses=PLACES[place], **(ENDINGS | BROKEN)[name]),),
        learned=known_beyond(level),
        missing=NOTHING,
        struck_at_least=1,
        struck_at_most=1,
    )
    for name, place in [
        *itertools.product(["abort", "close", "0xA700", "0xC001"], PLACES),
        # There is no match to break at the end.
        *itertools.product(BROKEN, ["first", "middle"]),
    ]
    for level in LEVELS
]

RARER = [
    QueryRow(
        fault=f"{name}, once",
        moment=at(level, "after one match"),
        faults=(of_find(level, after_responses=1, **(ENDINGS | HARMLESS)[name]),),
        learned=known_beyond(level),
        missing=NOTHING,
        struck_at_least=1,
        struck_at_most=1,
    )
    for level in LEVELS
    for name in ("garbage", "0xA701", "0xFE00", "0xB001", "0x0110", *HARMLESS)
]

LOST_MATCHES = [
    QueryRow(
        fault="a match gets lost, once",
        moment=at(level, PLACE_TEXTS[place]),
        faults=(of_find(level, after_responses=PLACES[place], kind="drop_answer"),),
        learned=known_beyond(level),
        missing=NOTHING,
    )
    for level in ("SERIES", "IMAGE")
    for place in ("first", "middle")
] + [
    QueryRow(
        fault="a match about one study gets lost each time",
        moment=at(level),
        faults=(of_find(level, answer=uid_of(kind), always=True, kind="drop_answer"),),
        learned=known_beyond(level),
        statuses=("incomplete",),
        missing=study_missing(kind),
    )
    for level, kind in (("SERIES", "ct_esr"), ("IMAGE", "petct"))
]


def _always(name: str, level: str) -> QueryRow:
    """Return the row of a fault of every C-FIND at a level."""
    hidden = wanted()
    if level == "IMAGE":
        hidden -= {study.study_instance_uid for study in WARD if not _needs_images(study.kind)}
    missing = all_missing("every study that it hides is named as missing", hidden)
    if level == "STUDY" and name in BROKEN:
        # It is the first match of each request that is broken: split, and the others come through.
        missing = Missing("some studies are missing, not all", frozenset(), hidden, some=True)
    all_failed = level == "STUDY" and name not in BROKEN
    return QueryRow(
        fault=f"{name}, each time",
        moment=at(level),
        faults=(of_find(level, always=True, **LASTING[name]),),
        learned=known_beyond(level),
        statuses=("failed" if all_failed else "incomplete",),
        missing=missing,
        finds_below=300,
    )


ALWAYS = [_always(name, level) for level in LEVELS for name in LASTING]


def _for_one_study(name: str, level: str) -> QueryRow:
    ill = uid_of("ct_rdsr")
    alone = study_missing("ct_rdsr")
    near = Missing(
        "missing: ct_rdsr, and at most its neighbours", alone.at_least, _neighbours(ONE["ct_rdsr"])
    )
    return QueryRow(
        fault=f"{name} whenever one study matches",
        moment=at(level),
        faults=(of_find(level, answer=ill, always=True, **LASTING[name]),),
        learned=known_beyond(level),
        statuses=("incomplete",),
        missing=near if level == "STUDY" else alone,
        finds_below=300,
    )


ONE_STUDY = [
    _for_one_study(name, level)
    for name in LASTING
    for level in LEVELS
    # 0xA900 before any match is about the request: no part of a window is requested after it.
    if (name, level) != ("0xA900", "STUDY")
]

FAULT_ROWS = [*PASSING, *RARER, *LOST_MATCHES, *ALWAYS, *ONE_STUDY]
