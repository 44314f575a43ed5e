"""Merges pending windows, where the node allows it: fewer requests.

A list of codes in ModalitiesInStudy (0008,0061) is matched by some PACS as "any of", by others not at all. It
is proven in a window of which single codes have named different studies, or a request without a code has:
the list must name them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from services.query.ledger.slices import (
    pending_windows,
    set_slice,
    several_slices_wait,
    windows_done_nearby,
)
from services.query.ledger.studies import add_counts
from services.query.profile.learner import Learner
from services.query.profile.measurement_plan import NO_CODE
from shared.database.models import QueryStudy, QueryTask
from shared.database.session import Database
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.jobs.model import Claim
from shared.querying.payloads import WindowSlice
from shared.querying.profile import WIDEST_DAYS, CodeStrategy
from shared.querying.slices import Slice

#: A window with fewer matches is sparse.
SPARSE = 20

#: Pending slices that are considered for a merge: those of the same code lie a few codes apart.
_LOOKAHEAD = 40

#: So many studies that two codes name alike: the node does not match on codes.
_ALIKE = 3

#: Slices of the same window lie side by side, apart from those that other jobs added at the same time.
_NEIGHBOURS = 4

#: Rows deleted with one statement.
_DELETED_AT_ONCE = 500

FindWindow = Callable[[Slice], FindResult[StudyMatch]]


def widen(session: Session, claim: Claim, done: WindowSlice, matches: int, believable_days: int) -> None:
    """Merge the next two pending windows of the same code, if the window that is done was sparse.

    After a window without matches, no wider than an empty response of the node is believed.
    """
    window = done.window
    if matches >= SPARSE or window.days is None or window.time_from or window.time_until:
        return
    same = [
        (task, part)
        for task, part in pending_windows(session, claim.job_id, _LOOKAHEAD)
        if part.window.code == window.code and not task.failures
    ]
    if len(same) < 2:  # noqa: PLR2004 - a pair
        return
    (newer_task, newer), (older_task, older) = same[:2]
    merged = _merged(newer.window, older.window)
    widest = 4 * window.days if matches else believable_days
    plain = newer.verifies is None and older.verifies is None
    if plain and merged is not None and (merged.days or 0) <= min(widest, WIDEST_DAYS):
        set_slice(newer_task, WindowSlice(merged))
        session.delete(older_task)
        add_counts(session, claim.job_id, slices_total=-1)


def _merged(newer: Slice, older: Slice) -> Slice | None:
    """Return the window of both, if they lie side by side and are whole days."""
    if None in (newer.date_from, newer.date_until, older.date_from, older.date_until):
        return None
    if newer.time_from or newer.time_until or older.time_from or older.time_until:
        return None
    if newer.date_from is None or older.date_until is None:
        return None
    if older.date_until + timedelta(days=1) != newer.date_from:
        return None
    return Slice(older.date_from, newer.date_until, code=newer.code)


def merge_pending(session: Session, claim: Claim, done: Slice, strategy: CodeStrategy) -> None:
    """Merge the pending slices of each window: into a list of codes, or into a request without a code.

    Without a code, those of the window that is done have been searched with it.
    """
    in_list, obsolete = strategy is CodeStrategy.LIST, list[int]()
    groups: dict[Slice, list[tuple[QueryTask, WindowSlice]]] = {}
    for task, part in pending_windows(session, claim.job_id):
        if part.window.code and part.is_plain and not task.failures:
            groups.setdefault(replace(part.window, code=None), []).append((task, part))
    for window, parts in groups.items():
        if not in_list and _same_window(window, done):
            obsolete += [task.id for task, _ in parts]
        elif len(parts) > 1 or not in_list:
            codes = [code for _, part in parts for code in part.window.codes()]
            task, part = parts[0]
            merged = replace(window, code="\\".join(codes) if in_list else None)
            set_slice(task, replace(part, window=merged))
            obsolete += [task.id for task, _ in parts[1:]]
    session.flush()
    for start in range(0, len(obsolete), _DELETED_AT_ONCE):
        ids = obsolete[start : start + _DELETED_AT_ONCE]
        session.execute(delete(QueryTask).where(QueryTask.id.in_(ids)))
    add_counts(session, claim.job_id, slices_total=-len(obsolete))


def unmatched(matches: Iterable[StudyMatch], code: str) -> bool:
    """Return whether most matches for one code have only others; a few may match by a part of theirs."""
    codes = [match.modalities for match in matches if match.modalities is not None]
    others = sum(code not in modalities for modalities in codes)
    return others >= _ALIKE and others * 2 > len(codes)


def of_several_codes(matches: Iterable[StudyMatch], codes: Iterable[str]) -> list[StudyMatch]:
    """Return the matches that have one of these codes; none where a single code would bring all of them."""
    wanted = frozenset(codes)
    of_codes = [match for match in matches if not match.codes().isdisjoint(wanted)]
    shared_by_all = wanted.intersection(*(match.codes() for match in of_codes))
    return [] if shared_by_all else of_codes


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A completed slice of another code in the same window that had matches."""

    window: Slice
    matches: int
    #: The studies that it was the first to name.
    first_named: frozenset[str]


class CodeListProof:
    """Finds out, with the matches of one code, whether the node takes the codes of the query in one list."""

    def __init__(
        self, database: Database, claim: Claim, part: WindowSlice, learner: Learner, codes: Sequence[str]
    ) -> None:
        self._database = database
        self._claim = claim
        self._part = part
        self._learner = learner
        self._codes = codes

    def learn(self, found: Sequence[StudyMatch], find: FindWindow) -> None:
        """Compare the matches of a list with those of single codes, if that proves something.

        Raises:
            PeerError: there is no association.
            InterruptedWorkError: stopping was requested.
        """
        window = self._part.window
        if not found or not self._is_open():
            return
        neighbours = self._neighbours()
        own = frozenset(match.study_instance_uid for match in found)
        if _are_several(own, neighbours):
            believed = self._believed(own, neighbours)
            if _are_several(own, believed):
                named = own.union(*(neighbour.first_named for neighbour in believed))
                finders = {code for neighbour in believed for code in neighbour.window.codes()}
                self._prove(window, named, finders, find)
        elif any(_alike(neighbour, window, own) for neighbour in neighbours) and self._ignores_codes(find):
            self._learner.learn(lambda profile: replace(profile, modalities_matched=False))

    def learn_from_control(self, window: Slice, control: Sequence[StudyMatch], find: FindWindow) -> bool:
        """Compare what a request without a code has found in a window, by the codes that it returned.

        Return whether the node takes the codes in one list, which was not known.

        Raises:
            PeerError: there is no association.
            InterruptedWorkError: stopping was requested.
        """
        named = of_several_codes(control, self._codes)
        if not named or not self._is_open():
            return False
        with self._database.read() as session:
            if not several_slices_wait(session, self._claim.job_id):
                return False
        known = self._learner.profile.code_list or 0
        finders = {code for code in self._codes for match in named if code in match.codes()}
        self._prove(window, frozenset(match.study_instance_uid for match in named), finders, find)
        return (self._learner.profile.code_list or 0) > known

    def _is_open(self) -> bool:
        profile = self._learner.profile
        refuted = profile.code_list == 0 or profile.modalities_matched is False
        single = len(self._part.window.codes()) == 1
        worth_it = len(self._codes) > max(profile.code_list or 0, 1) and single
        return not refuted and worth_it and self._part.is_plain

    def _ignores_codes(self, find: FindWindow) -> bool:
        """Return whether a code of no study finds some: studies may as well all have the same codes."""
        if self._learner.profile.modalities_matched:
            return False
        result = find(replace(self._part.window, code=NO_CODE))
        return result.complete and bool(result.matches)

    def _prove(self, window: Slice, named: frozenset[str], finders: set[str], find: FindWindow) -> None:
        # A PACS that heeds the first values only must not get away with it: those that found something last.
        finders |= set(window.codes())
        codes = sorted(self._codes, key=lambda code: code in finders)
        result = find(replace(window, code="\\".join(codes)))
        if result.complete and named <= {match.study_instance_uid for match in result.matches}:
            taken = len(codes)
        elif self._disproves(result, len(named)):
            taken = 0
        else:
            return
        self._learner.learn(lambda profile: replace(profile, code_list=taken))

    def _disproves(self, result: FindResult[StudyMatch], named: int) -> bool:
        """Return whether a list was refused, or left out studies other than by a cap."""
        if result.complete:
            return self._learner.profile.believes_all(named)
        return isinstance(result.error, PeerError) and result.error.outcome is Outcome.STATUS

    def _believed(self, own: frozenset[str], neighbours: Sequence[_Neighbour]) -> list[_Neighbour]:
        """Return those with the fewest studies, as many of them as the node is known to return together."""
        believed, named = list[_Neighbour](), own
        for neighbour in sorted(neighbours, key=lambda neighbour: len(neighbour.first_named)):
            named |= neighbour.first_named
            if not self._learner.profile.believes_all(len(named)):
                break
            believed.append(neighbour)
        return believed

    def _neighbours(self) -> list[_Neighbour]:
        with self._database.read() as session:
            if not several_slices_wait(session, self._claim.job_id):
                return []
            reach = _NEIGHBOURS * len(self._codes)
            parts = {
                task.id: part
                for task, part in windows_done_nearby(session, self._claim, reach)
                if part.matches and not part.without_code and _same_window(part.window, self._part.window)
            }
            named: dict[int, set[str]] = {task_id: set() for task_id in parts}
            first = select(QueryStudy.found_by, QueryStudy.study_instance_uid).where(
                QueryStudy.job_id == self._claim.job_id, QueryStudy.found_by.in_(named)
            )
            for task_id, uid in session.execute(first):
                named[task_id or 0].add(uid)
            return [
                _Neighbour(part.window, part.matches or 0, frozenset(named[task_id]))
                for task_id, part in parts.items()
            ]


def _are_several(own: frozenset[str], neighbours: Sequence[_Neighbour]) -> bool:
    """Return whether windows of several codes named studies that no other named first."""
    others = frozenset[str]().union(*(neighbour.first_named for neighbour in neighbours))
    groups = [*(neighbour.first_named for neighbour in neighbours), own - others]
    return sum(map(bool, groups)) > 1


def _alike(neighbour: _Neighbour, window: Slice, own: frozenset[str]) -> bool:
    """Return whether two codes named the same studies, too many of them to be a coincidence."""
    same = _ALIKE <= len(own) == neighbour.matches and own <= neighbour.first_named
    return neighbour.window.code != window.code and same


def _same_window(first: Slice, second: Slice) -> bool:
    return replace(first, code=None) == replace(second, code=None)
