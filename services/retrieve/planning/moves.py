"""Which C-MOVEs bring exactly what is wanted, as few as the node's manners allow. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, TypeVar

T = TypeVar("T")

#: UIDs of one list: what archives are known to take in one request.
LIST_MAX_LENGTH = 50

#: What one task asks for at most: small enough to end within minutes on a slow PACS.
TASK_MAX_SERIES = LIST_MAX_LENGTH
TASK_MAX_OBJECTS = 200

#: A whole series of more objects is asked for in lists of them, where the node is known to take lists.
LONG_SERIES_OBJECTS = 200


@dataclass(frozen=True, slots=True)
class Share:
    """What is wanted of one series.

    `whole`: the named objects are all that the series has. A series whose objects nobody can name is whole
    and names none; `announced` is then how many it says it has.
    """

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uids: tuple[str, ...] = ()
    whole: bool = False
    announced: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        """Study and series."""
        return self.study_instance_uid, self.series_instance_uid

    @property
    def nameless(self) -> bool:
        """Whether its objects cannot be named."""
        return not self.sop_instance_uids

    @property
    def size(self) -> int:
        """How many objects are expected of it."""
        return len(self.sop_instance_uids) or self.announced or 1

    def without(self, arrived: frozenset[str] | set[str]) -> Share | None:
        """Return what is left of it, by single objects; None if nothing is."""
        left = tuple(uid for uid in self.sop_instance_uids if uid not in arrived)
        if not left:
            return None
        return (
            self
            if len(left) == len(self.sop_instance_uids)
            else replace(self, sop_instance_uids=left, whole=False)
        )

    def only(self, arrived: frozenset[str] | set[str]) -> Share | None:
        """Return the part of it that arrived, of those that can be named; None if nothing did."""
        here = tuple(uid for uid in self.sop_instance_uids if uid in arrived)
        return replace(self, sop_instance_uids=here, whole=False) if here else None

    def by_objects(self) -> Share:
        """Return the same to be asked for object by object; a nameless series can only be asked for whole."""
        return self if self.nameless else replace(self, whole=False)


@dataclass(frozen=True, slots=True)
class Manners:
    """What a node takes: lists of UIDs below one study or series (PS3.4 C.4.2.2.1), and across studies.

    `longest`: UIDs of one list; 1 is no list. `object_lists`: lists of objects are known to work, not only
    worth a try.
    """

    longest: int = LIST_MAX_LENGTH
    across_studies: bool = False
    object_lists: bool = False

    def in_lists_of(self, longest: int) -> Manners:
        """Return the manners for what was refused in a longer list."""
        return replace(self, longest=min(longest, self.longest))


@dataclass(frozen=True, slots=True)
class Move:
    """One C-MOVE and the shares that it brings."""

    level: Literal["SERIES", "IMAGE"]
    shares: tuple[Share, ...]

    @property
    def study_instance_uids(self) -> list[str]:
        """Unique keys of the STUDY level."""
        return list(dict.fromkeys(share.study_instance_uid for share in self.shares))

    @property
    def series_instance_uids(self) -> list[str]:
        """Unique keys of the SERIES level."""
        return list(dict.fromkeys(share.series_instance_uid for share in self.shares))

    @property
    def sop_instance_uids(self) -> list[str]:
        """The named objects that it brings; at IMAGE level its unique keys."""
        return [uid for share in self.shares for uid in share.sop_instance_uids]

    @property
    def size(self) -> int:
        """How many objects are expected of it."""
        return sum(share.size for share in self.shares)

    @property
    def is_list(self) -> bool:
        """Whether it names several things of its own level."""
        return len(self.sop_instance_uids if self.level == "IMAGE" else self.shares) > 1

    @property
    def simplest(self) -> bool:
        """Whether the same cannot be asked for in a simpler way."""
        return not self.is_list and (self.level == "IMAGE" or self.shares[0].nameless)


def plan_moves(shares: Iterable[Share], manners: Manners) -> list[Move]:
    """Return C-MOVEs that bring each share once: whole series at SERIES level, single objects at IMAGE level.

    A series that nobody can name the objects of is asked for alone: only then its counters tell about it.
    """
    ordered = sorted(shares, key=lambda share: share.key)
    nameless = [share for share in ordered if share.nameless]
    whole = [share for share in ordered if share.whole and not share.nameless]
    parts = [share for share in ordered if not (share.whole or share.nameless)]
    alone = [Move("SERIES", (share,)) for share in nameless]
    return [*_series_moves(whole, manners), *alone, *_image_moves(parts, manners)]


def _series_moves(shares: Sequence[Share], manners: Manners) -> Iterator[Move]:
    if manners.across_studies:
        groups: list[list[Share]] = [list(shares)]
    else:
        groups = [list(group) for _, group in groupby(shares, key=lambda share: share.study_instance_uid)]
    for group in groups:
        for chunk in _chunks(group, manners.longest):
            yield Move("SERIES", tuple(chunk))


def _image_moves(shares: Sequence[Share], manners: Manners) -> Iterator[Move]:
    if not manners.across_studies:
        for share in shares:
            for uids in _chunks(share.sop_instance_uids, manners.longest):
                yield Move("IMAGE", (replace(share, sop_instance_uids=tuple(uids)),))
        return
    pieces = [(share, uid) for share in shares for uid in share.sop_instance_uids]
    for chunk in _chunks(pieces, manners.longest):
        yield Move("IMAGE", joined(chunk))


def joined(pieces: Sequence[tuple[Share, str]]) -> tuple[Share, ...]:
    """Return shares of these objects, each named beside the share that it is of."""
    groups = [list(group) for _, group in groupby(pieces, key=lambda piece: piece[0].key)]
    return tuple(
        replace(group[0][0], sop_instance_uids=tuple(uid for _, uid in group), whole=False)
        for group in groups
    )


def split_long(shares: Iterable[Share], manners: Manners) -> Iterator[Share]:
    """Cut very long whole series into lists of objects: progress shows, and a lost request costs little."""
    for share in shares:
        if share.whole and manners.object_lists and len(share.sop_instance_uids) > LONG_SERIES_OBJECTS:
            for uids in _chunks(share.sop_instance_uids, TASK_MAX_OBJECTS):
                yield replace(share, sop_instance_uids=tuple(uids), whole=False)
        else:
            yield share


def split_tasks(shares: Iterable[Share]) -> list[list[Share]]:
    """Cut shares into tasks of bounded size; only a whole series is never cut."""
    tasks: list[list[Share]] = []
    objects = 0
    for share in _cut(shares):
        full = not tasks or len(tasks[-1]) >= TASK_MAX_SERIES or objects + share.size > TASK_MAX_OBJECTS
        if full:
            tasks.append([])
            objects = 0
        tasks[-1].append(share)
        objects += share.size
    return tasks


def _cut(shares: Iterable[Share]) -> Iterator[Share]:
    for share in shares:
        if share.whole or share.nameless or share.size <= TASK_MAX_OBJECTS:
            yield share
        else:
            for uids in _chunks(share.sop_instance_uids, TASK_MAX_OBJECTS):
                yield replace(share, sop_instance_uids=tuple(uids))


def _chunks(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]
