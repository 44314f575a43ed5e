"""How a list that failed is cut, so that few C-MOVEs find the objects that spoil it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.retrieve.planning.moves import Move, SeriesPart, joined
from services.retrieve.planning.payloads import half

Uids = frozenset[str] | set[str]
_Piece = tuple[SeriesPart, str]


@dataclass(frozen=True, slots=True)
class Cut:
    """What is asked for in lists of at most so many."""

    parts: tuple[SeriesPart, ...]
    longest: int


def cut(move: Move, arrived: Uids, failed: Uids = frozenset()) -> list[Cut]:
    """Return in which shorter lists the rest of a list is asked for; each object of the rest stands in one.

    `failed`: objects that the PACS names as failed. Where it names some of the rest, these are asked for
    alone. Where what arrived is the beginning of the list, the PACS has stopped at what comes next: that is
    asked for alone. Otherwise any of the rest may be what spoils it, and it is cut in two.
    """
    if move.level == "SERIES":
        return _cut_series(move.parts, arrived)
    pieces = [(part, uid) for part in move.parts for uid in part.sop_instance_uids]
    rest = [piece for piece in pieces if piece[1] not in arrived]
    named = [piece for piece in rest if piece[1] in failed]
    if named and len(named) < len(rest):
        return [_alone(named), _together([piece for piece in rest if piece[1] not in failed])]
    if 0 < len(rest) < len(pieces) and rest == pieces[-len(rest) :]:
        return [_alone(rest[:1]), *([_together(rest[1:])] if rest[1:] else [])]
    return [Cut(joined(rest), half(len(rest)))]


def _alone(pieces: Sequence[_Piece]) -> Cut:
    return Cut(joined(pieces), 1)


def _together(pieces: Sequence[_Piece]) -> Cut:
    return Cut(joined(pieces), len(pieces))


def _cut_series(parts: Sequence[SeriesPart], arrived: Uids) -> list[Cut]:
    """Cut a list of series; of one that came in part the rest is asked for by objects."""
    rest = [left for part in parts if (left := part.without(arrived)) is not None]
    untouched = [part for part in rest if part.whole]
    partial = [part for part in rest if not part.whole]
    stopped = len(rest) < len(parts) and [one.key for one in rest] == [
        part.key for part in parts[-len(rest) :]
    ]
    if not partial and stopped:
        partial, untouched = [untouched[0].by_objects()], untouched[1:]
    cuts = [Cut((part,), half(part.size)) for part in partial]
    if untouched:
        cuts.append(Cut(tuple(untouched), len(untouched) if partial else half(len(untouched))))
    return cuts
