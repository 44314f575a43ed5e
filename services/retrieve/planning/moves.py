"""Plans the fewest C-MOVEs, within the node's capabilities, that bring exactly what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, TypeVar

T = TypeVar("T")

#: UIDs of one list: what archives are known to take in one request.
LIST_MAX_LENGTH = 50

#: Upper limits of one task: small enough to end within minutes on a slow PACS.
TASK_MAX_SERIES = LIST_MAX_LENGTH
TASK_MAX_OBJECTS = 200

#: A whole series of more objects is requested in lists of them, where the node is known to take lists.
LONG_SERIES_OBJECTS = 200


@dataclass(frozen=True, slots=True)
class SeriesPart:
    """What is wanted of one series.

    `whole`: the named objects are all that the series has. A series whose objects the PACS does not list is
    whole and names none; `announced` is then its Number of Series Related Instances, if known.
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
    def unlisted(self) -> bool:
        """Whether the PACS does not list its objects."""
        return not self.sop_instance_uids

    @property
    def size(self) -> int:
        """How many objects are expected of it."""
        return len(self.sop_instance_uids) or self.announced or 1

    def without(self, arrived: frozenset[str] | set[str]) -> SeriesPart | None:
        """Return what is left of it, by single objects; None if nothing is."""
        left = tuple(uid for uid in self.sop_instance_uids if uid not in arrived)
        if not left:
            return None
        return (
            self
            if len(left) == len(self.sop_instance_uids)
            else replace(self, sop_instance_uids=left, whole=False)
        )

    def only(self, arrived: frozenset[str] | set[str]) -> SeriesPart | None:
        """Return the part of it that arrived, of those that can be named; None if nothing did."""
        here = tuple(uid for uid in self.sop_instance_uids if uid in arrived)
        return replace(self, sop_instance_uids=here, whole=False) if here else None

    def by_objects(self) -> SeriesPart:
        """Return the same to be requested object by object; an unlisted series stays whole."""
        return self if self.unlisted else replace(self, whole=False)


@dataclass(frozen=True, slots=True)
class MoveCapabilities:
    """What a node takes: lists of UIDs below one study or series (PS3.4 C.4.2.2.1), and across studies.

    `longest`: UIDs of one list; 1 is no list. `object_lists`: lists of objects are known to work, not only
    worth a try.
    """

    longest: int = LIST_MAX_LENGTH
    across_studies: bool = False
    object_lists: bool = False

    def in_lists_of(self, longest: int) -> MoveCapabilities:
        """Return the capabilities for what was refused in a longer list."""
        return replace(self, longest=min(longest, self.longest))


@dataclass(frozen=True, slots=True)
class Move:
    """One C-MOVE and the parts that it brings."""

    level: Literal["SERIES", "IMAGE"]
    parts: tuple[SeriesPart, ...]

    @property
    def study_instance_uids(self) -> list[str]:
        """Unique keys of the STUDY level."""
        return list(dict.fromkeys(part.study_instance_uid for part in self.parts))

    @property
    def series_instance_uids(self) -> list[str]:
        """Unique keys of the SERIES level."""
        return list(dict.fromkeys(part.series_instance_uid for part in self.parts))

    @property
    def sop_instance_uids(self) -> list[str]:
        """The named objects that it brings; at IMAGE level its unique keys."""
        return [uid for part in self.parts for uid in part.sop_instance_uids]

    @property
    def size(self) -> int:
        """How many objects are expected of it."""
        return sum(part.size for part in self.parts)

    @property
    def is_list(self) -> bool:
        """Whether it names several things of its own level."""
        return len(self.sop_instance_uids if self.level == "IMAGE" else self.parts) > 1

    @property
    def simplest(self) -> bool:
        """Whether there is no simpler form of the same request."""
        return not self.is_list and (self.level == "IMAGE" or self.parts[0].unlisted)


def plan_moves(parts: Iterable[SeriesPart], capabilities: MoveCapabilities) -> list[Move]:
    """Return C-MOVEs that bring each part once: whole series at SERIES level, single objects at IMAGE level.

    An unlisted series is requested alone: only then do the counters describe it.
    """
    ordered = sorted(parts, key=lambda part: part.key)
    unlisted = [part for part in ordered if part.unlisted]
    whole = [part for part in ordered if part.whole and not part.unlisted]
    partial = [part for part in ordered if not (part.whole or part.unlisted)]
    alone = [Move("SERIES", (part,)) for part in unlisted]
    return [*_series_moves(whole, capabilities), *alone, *_image_moves(partial, capabilities)]


def _series_moves(parts: Sequence[SeriesPart], capabilities: MoveCapabilities) -> Iterator[Move]:
    if capabilities.across_studies:
        groups: list[list[SeriesPart]] = [list(parts)]
    else:
        groups = [list(group) for _, group in groupby(parts, key=lambda part: part.study_instance_uid)]
    for group in groups:
        for chunk in _chunks(group, capabilities.longest):
            yield Move("SERIES", tuple(chunk))


def _image_moves(parts: Sequence[SeriesPart], capabilities: MoveCapabilities) -> Iterator[Move]:
    if not capabilities.across_studies:
        for part in parts:
            for uids in _chunks(part.sop_instance_uids, capabilities.longest):
                yield Move("IMAGE", (replace(part, sop_instance_uids=tuple(uids)),))
        return
    pieces = [(part, uid) for part in parts for uid in part.sop_instance_uids]
    for chunk in _chunks(pieces, capabilities.longest):
        yield Move("IMAGE", joined(chunk))


def joined(pieces: Sequence[tuple[SeriesPart, str]]) -> tuple[SeriesPart, ...]:
    """Return parts of these objects, each given beside the part that it belongs to."""
    groups = [list(group) for _, group in groupby(pieces, key=lambda piece: piece[0].key)]
    return tuple(
        replace(group[0][0], sop_instance_uids=tuple(uid for _, uid in group), whole=False)
        for group in groups
    )


def split_long(parts: Iterable[SeriesPart], capabilities: MoveCapabilities) -> Iterator[SeriesPart]:
    """Cut very long whole series into lists of objects: progress shows, and a lost request costs little."""
    for part in parts:
        if part.whole and capabilities.object_lists and len(part.sop_instance_uids) > LONG_SERIES_OBJECTS:
            for uids in _chunks(part.sop_instance_uids, TASK_MAX_OBJECTS):
                yield replace(part, sop_instance_uids=tuple(uids), whole=False)
        else:
            yield part


def split_tasks(parts: Iterable[SeriesPart]) -> list[list[SeriesPart]]:
    """Cut parts into tasks of bounded size; only a whole series is never cut."""
    tasks: list[list[SeriesPart]] = []
    objects = 0
    for part in _cut(parts):
        full = not tasks or len(tasks[-1]) >= TASK_MAX_SERIES or objects + part.size > TASK_MAX_OBJECTS
        if full:
            tasks.append([])
            objects = 0
        tasks[-1].append(part)
        objects += part.size
    return tasks


def _cut(parts: Iterable[SeriesPart]) -> Iterator[SeriesPart]:
    for part in parts:
        if part.whole or part.unlisted or part.size <= TASK_MAX_OBJECTS:
            yield part
        else:
            for uids in _chunks(part.sop_instance_uids, TASK_MAX_OBJECTS):
                yield replace(part, sop_instance_uids=tuple(uids))


def _chunks(items: Sequence[T], length: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), length):
        yield items[start : start + length]
