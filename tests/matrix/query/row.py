"""What a row of a query holds, and what it is written with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.querying.profile import Profile
from simulator.behaviour import Fault
from tests.support.jobs.ward import CRITERIA, WARD, is_wanted, uid_of

#: Of an unknown node twenty matches are believed to be all; this archive is smaller than that.
WARY = Profile(proven=3)
#: It matches lists of codes too: fewer requests lead past the STUDY level where a row is about another.
KNOWN = Profile(proven=3, code_list=10)


@dataclass(frozen=True)
class Missing:
    """The studies of which a query may, and has to, say that they are missing."""

    text: str
    at_least: frozenset[str]
    at_most: frozenset[str]
    #: Some are missing, and not all of `at_most`.
    some: bool = False


@dataclass(frozen=True, kw_only=True)
class QueryRow:
    """A PACS with traits and faults, and the end of a query of it."""

    fault: str
    moment: str
    traits: Mapping[str, Any] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    criteria: Mapping[str, Any] = field(default_factory=lambda: CRITERIA)
    #: What is known of the PACS before.
    learned: Profile | None = None
    #: Short time-outs and little patience.
    hasty: bool = False
    statuses: tuple[str, ...] = ("completed",)
    failure: str | None = None
    #: None: any study may be missing that is named.
    missing: Missing | None = None
    #: The only reason why something is missing, and of studies alone.
    reason: str | None = None
    struck_at_least: int = 0
    struck_at_most: int | None = None
    finds_below: int | None = None

    @property
    def ending(self) -> str:
        status = " or ".join(self.statuses) + (f" ({self.failure})" if self.failure else "")
        missing = "what is missing is named" if self.missing is None else self.missing.text
        finds = f"; fewer than {self.finds_below} C-FINDs" if self.finds_below is not None else ""
        return f"{status}; {missing}{finds}"


def study_missing(*kinds: str) -> Missing:
    """Return these studies, all of them and no other."""
    uids = frozenset(uid_of(kind) for kind in kinds)
    return Missing(f"missing: {', '.join(kinds)} alone", uids, uids)


def all_missing(text: str, uids: frozenset[str]) -> Missing:
    return Missing(text, uids, uids)


def wanted(criteria: Mapping[str, Any] = CRITERIA) -> frozenset[str]:
    return frozenset(study.study_instance_uid for study in WARD if is_wanted(study, criteria))


NOTHING = Missing("nothing missing", frozenset(), frozenset())
EVERYTHING = all_missing("every study is named as missing", wanted())


def at(level: str, place: str = "") -> str:
    """Return a moment of a C-FIND."""
    return f"C-FIND at {level} level" + (f", {place}" if place else "")


def of_find(level: str, **fields: Any) -> Fault:
    return Fault(operation="find", level=level, **fields)


def known_beyond(level: str) -> Profile | None:
    """Return what is known of a node before a fault of this level strikes."""
    return None if level == "STUDY" else KNOWN
