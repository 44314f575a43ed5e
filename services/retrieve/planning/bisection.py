"""Cuts a list that failed, so that few C-MOVEs find the objects that spoil it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.retrieve.planning.moves import Move, SeriesPart, joined
from services.retrieve.planning.payloads import half

Uids = frozenset[str] | set[str]
_Object = tuple[SeriesPart, str]


@dataclass(frozen=True, slots=True)
class Piece:
    """Parts to be requested in lists of at most `longest` UIDs."""

    parts: tuple[SeriesPart, ...]
    longest: int


def cut(move: Move, arrived: Uids, failed: Uids = frozenset()) -> list[Piece]:
    """Return the shorter lists for the rest of a list; each object of the rest is in exactly one.

    `failed`: objects that the PACS names as failed. Where it names some of the rest, these are requested
    alone. Where what arrived is the beginning of the list, the PACS has stopped at the next object, which is
    requested alone. Otherwise any of the rest may be what spoils the list, and it is cut in two.
    """
    if move.level == "SERIES":
        return _cut_series(move.parts, arrived)
    objects = [(part, uid) for part in move.parts for uid in part.sop_instance_uids]
    rest = [(part, uid) for part, uid in objects if uid not in arrived]
    named = [(part, uid) for part, uid in rest if uid in failed]
    if named and len(named) < len(rest):
        return [_alone(named), _together([(part, uid) for part, uid in rest if uid not in failed])]
    if 0 < len(rest) < len(objects) and rest == objects[-len(rest) :]:
        return [_alone(rest[:1]), *([_together(rest[1:])] if rest[1:] else [])]
    return [Piece(joined(rest), half(len(rest)))]


def _alone(objects: Sequence[_Object]) -> Piece:
    return Piece(joined(objects), 1)


def _together(objects: Sequence[_Object]) -> Piece:
    return Piece(joined(objects), len(objects))


def _cut_series(parts: Sequence[SeriesPart], arrived: Uids) -> list[Piece]:
    """Cut a list of series; what is left of one that came in part is requested by objects."""
    rest = [left for part in parts if (left := part.without(arrived)) is not None]
    untouched = [part for part in rest if part.whole]
    partial = [part for part in rest if not part.whole]
    last = [part.key for part in parts[-len(rest) :]]
    stopped = len(rest) < len(parts) and [part.key for part in rest] == last
    if not partial and stopped:
        partial, untouched = [untouched[0].by_objects()], untouched[1:]
    cuts = [Piece((part,), half(part.size)) for part in partial]
    if untouched:
        cuts.append(Piece(tuple(untouched), len(untouched) if partial else half(len(untouched))))
    return cuts
