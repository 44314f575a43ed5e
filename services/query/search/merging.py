"""Puts waiting slices of the same window and different codes together, where the node allows: fewer requests.

A list of codes in ModalitiesInStudy (0008,0061) is matched by some PACS as "any of", by others not at all. It
is proven in a window of which single codes have named different studies: the list must name them all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from services.query.ledger.studies import add_counts
from services.query.profile.learner import Learner
from shared.database.models import QueryStudy, QueryTask
from shared.database.session import Database
from shared.dicom.association.c_find import FindResult
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim
from shared.querying.payloads import SLICE, slice_of, slice_payload
from shared.querying.profile import WIDEST_DAYS
from shared.querying.slices import Slice

#: A window with fewer answers is sparse.
SPARSE = 20

#: Waiting slices that are looked at: those of the same code lie a few codes apart.
_LOOK_AHEAD = 40


def widen(session: Session, claim: Claim, answers: int, believable_days: int) -> None:
    """Put the next two waiting windows of the same code together, if this one was sparse.

    After a window with nothing in it, no wider than the node is believed when it answers with nothing again.
    """
    done = slice_of(claim.payload)
    if answers >= SPARSE or done.days is None or done.time_from or done.time_until:
        return
    waiting = session.scalars(
        select(QueryTask)
        .where(QueryTask.job_id == claim.job_id, QueryTask.state == "pending", QueryTask.kind == SLICE)
        .order_by(QueryTask.id)
        .limit(_LOOK_AHEAD)
    ).all()
    same = [task for task in waiting if task.payload.get("code") == done.code and not task.failures]
    if len(same) < 2:  # noqa: PLR2004 - a pair
        return
    newer, older = same[0], same[1]
    joined = _joined(slice_of(newer.payload), slice_of(older.payload))
    widest = 4 * done.days if answers else believable_days
    plain = "verifies" not in newer.payload and "verifies" not in older.payload
    if plain and joined is not None and (joined.days or 0) <= min(widest, WIDEST_DAYS):
        newer.payload = slice_payload(joined)
        session.delete(older)
        add_counts(session, claim.job_id, slices_total=-1)


def _joined(newer: Slice, older: Slice) -> Slice | None:
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


#: A payload that holds more than these proves something of another window.
_PLAIN = frozenset({"code", "date_from", "date_until", "time_from", "time_until", "ever", "answers"})

#: So many studies that two codes name alike: the node does not match on codes.
_ALIKE = 3

#: Slices of the same window lie side by side, apart from those that other jobs added at the same time.
_NEIGHBOURS = 4

#: Rows deleted at once.
_AT_ONCE = 500

Ask = Callable[[Slice], FindResult[StudyMatch]]


def unmatched(matches: Iterable[StudyMatch], code: str) -> bool:
    """Tell whether most of an answer for one code has only others; a few may match by a part of theirs."""
    codes = [match.modalities for match in matches if match.modalities is not None]
    others = sum(code not in modalities for modalities in codes)
    return others >= _ALIKE and others * 2 > len(codes)


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """A slice of another code that was answered with something."""

    part: Slice
    answers: int
    #: The studies that it was the first to name.
    first_named: frozenset[str]


class Prover:
    """Finds out, with an answer to one code, whether the node takes the codes of the query in one list."""

    def __init__(self, database: Database, claim: Claim, learner: Learner, codes: Sequence[str]) -> None:
        self._database = database
        self._claim = claim
        self._learner = learner
        self._codes = codes

    def learn(self, found: Sequence[StudyMatch], ask: Ask) -> None:
        """Compare the answer to a list with those to single codes, if that can tell something.

        Raises:
            PeerError: there is no association.
            InterruptedWorkError: stopping was asked for.
        """
        part = slice_of(self._claim.payload)
        if not found or not self._is_open(part):
            return
        neighbours = self._neighbours(part)
        own = frozenset(match.study_instance_uid for match in found)
        others = frozenset[str]().union(*(neighbour.first_named for neighbour in neighbours))
        finders = [one for one in (*(neighbour.first_named for neighbour in neighbours), own - others) if one]
        if len(finders) > 1:
            self._prove(
                part, own | others, {code for neighbour in neighbours for code in neighbour.part.codes()}, ask
            )
        elif any(_alike(neighbour, part, own) for neighbour in neighbours):
            self._learner.learn(lambda profile: replace(profile, modalities_matched=False))

    def _is_open(self, part: Slice) -> bool:
        profile = self._learner.profile
        refuted = profile.code_list == 0 or profile.modalities_matched is False
        worth_it = len(self._codes) > max(profile.code_list or 0, 1) and len(part.codes()) == 1
        return not refuted and worth_it and is_plain(self._claim.payload)

    def _prove(self, part: Slice, named: frozenset[str], finders: set[str], ask: Ask) -> None:
        self._learner.learn(lambda profile: replace(profile, modalities_matched=True))
        if not self._learner.profile.believes_all(len(named)):
            return
        # A PACS that heeds the first values only must not get away with it: those that found something last.
        finders |= set(part.codes())
        codes = sorted(self._codes, key=lambda code: code in finders)
        result = ask(replace(part, code="\\".join(codes)))
        if result.complete:
            taken = len(codes) if named <= {match.study_instance_uid for match in result.matches} else 0
        elif isinstance(result.error, PeerError) and result.error.outcome is Outcome.STATUS:
            taken = 0
        else:
            return
        self._learner.learn(lambda profile: replace(profile, code_list=taken))

    def _neighbours(self, part: Slice) -> list[_Neighbour]:
        reach = _NEIGHBOURS * len(self._codes)
        near = QueryTask.id.between(self._claim.task_id - reach, self._claim.task_id + reach)
        done = (QueryTask.job_id == self._claim.job_id, QueryTask.kind == SLICE, QueryTask.state == "done")
        with self._database.read() as session:
            if not _windows_wait(session, self._claim.job_id):
                return []
            tasks = [
                task
                for task in session.scalars(select(QueryTask).where(near, *done))
                if task.payload.get("answers") and _same_window(slice_of(task.payload), part)
            ]
            named: dict[int, set[str]] = {task.id: set() for task in tasks}
            first = select(QueryStudy.found_by, QueryStudy.study_instance_uid).where(
                QueryStudy.job_id == self._claim.job_id, QueryStudy.found_by.in_(named)
            )
            for task_id, uid in session.execute(first):
                named[task_id or 0].add(uid)
            return [
                _Neighbour(slice_of(task.payload), task.payload["answers"], frozenset(named[task.id]))
                for task in tasks
            ]


def is_plain(payload: dict[str, object]) -> bool:
    """Tell whether a slice's payload is a window and no more."""
    return payload.keys() <= _PLAIN


def join_waiting(session: Session, claim: Claim, *, in_list: bool) -> None:
    """Put the waiting slices of each window together: in a list of codes, or without any.

    Without any, those of the window of `claim` are answered with it.
    """
    waiting = session.scalars(
        select(QueryTask)
        .where(QueryTask.job_id == claim.job_id, QueryTask.state == "pending", QueryTask.kind == SLICE)
        .order_by(QueryTask.id)
    )
    done, gone = slice_of(claim.payload), list[int]()
    groups: dict[Slice, list[QueryTask]] = {}
    for task in waiting:
        part = slice_of(task.payload)
        if part.code and "code" in task.payload and is_plain(task.payload) and not task.failures:
            groups.setdefault(replace(part, code=None), []).append(task)
    for window, tasks in groups.items():
        if not in_list and _same_window(window, done):
            gone += [task.id for task in tasks]
        elif len(tasks) > 1 or not in_list:
            codes = [code for task in tasks for code in slice_of(task.payload).codes()]
            joined = replace(window, code="\\".join(codes) if in_list else None)
            tasks[0].payload = tasks[0].payload | slice_payload(joined)
            gone += [task.id for task in tasks[1:]]
    session.flush()
    for start in range(0, len(gone), _AT_ONCE):
        session.execute(delete(QueryTask).where(QueryTask.id.in_(gone[start : start + _AT_ONCE])))
    add_counts(session, claim.job_id, slices_total=-len(gone))


def _alike(one: _Neighbour, part: Slice, own: frozenset[str]) -> bool:
    """Tell whether two codes named the same studies, enough of them to be no coincidence."""
    return one.part.code != part.code and _ALIKE <= len(own) == one.answers and own <= one.first_named


def _same_window(one: Slice, other: Slice) -> bool:
    return replace(one, code=None) == replace(other, code=None)


def _windows_wait(session: Session, job_id: str) -> bool:
    waiting = select(func.count()).where(
        QueryTask.job_id == job_id, QueryTask.kind == SLICE, QueryTask.state == "pending"
    )
    return (session.scalar(waiting) or 0) > 1
