"""Work on one slice: one C-FIND at STUDY level, and what follows from its answer.

An answer is believed only as far as the node has proven itself: more answers than it was ever proven to give
in full are compared with the answers to the halves of the window, and a window wider than any that ever
answered with something is cut before it is believed to be empty.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy import select
from sqlalchemy.orm import Session

from services.query.asker import Asker
from services.query.cutting import last_minute, worth_cutting
from services.query.learning import Learner
from services.query.ledger import add_counts, add_studies, full_examinations, save_decision
from services.query.rules import KnownObjects, StudyDecision, decide
from services.query.widening import widen
from shared.contract.criteria import Criteria
from shared.database.models import QueryTask
from shared.dicom.answers import StudyMatch
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.find import FindResult
from shared.dicom.keys import study_identifier
from shared.jobs.model import Claim, NewTask, Result
from shared.querying.payloads import (
    EARLIEST,
    OLD_DAYS,
    SLICE,
    pieces_of_open,
    slice_of,
    slice_payload,
)
from shared.querying.slices import Slice, halve

#: In a payload: how many answers the whole of a window gave, whose halves are asked for to compare.
VERIFIES = "verifies"
#: In a payload: the window has been asked once, and answered with nothing.
AGAIN = "again"

#: In a payload: how often it was cut in a row without an answer.
BLIND = "blind"

#: Seconds after which it is asked again: windows of other codes in hand may have taught something by then.
AGAIN_AFTER_S = 2.0

#: In a payload: the window is a piece of one without beginning or end.
EVER = "ever"

#: The width of a window without beginning or end.
EVER_DAYS = 36500
_YEAR = timedelta(days=366)

Tell = Callable[[str, Sequence[StudyDecision]], None]


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """What the work on a query's tasks needs to know of it."""

    criteria: Criteria
    today: date


class SliceWork:
    """One slice in hand."""

    def __init__(self, asker: Asker, learner: Learner, claim: Claim, facts: QueryFacts, tell: Tell) -> None:
        self._asker = asker
        self._learner = learner
        self._claim = claim
        self._facts = facts
        self._tell = tell
        self._decided: list[StudyDecision] = []

    def perform(self) -> Result:
        """Ask for the slice; what is too much for the PACS, or not to be believed, is cut.

        Raises:
            PeerError: the answer is not complete, and cutting would not help.
            InterruptedWorkError: stopping was asked for.
        """
        payload = self._claim.payload
        result = self._asker.studies(_identifier(payload, self._facts.criteria), payload)
        if result.error is not None:
            return self._failed(result, result.error)
        if "code" not in payload:
            return self._complete(result)
        part, answers = slice_of(payload), len(result.matches)
        if answers == 0:
            return self._empty(part, result)
        days = part.days or EVER_DAYS
        self._learner.learn(lambda profile: profile.answered(days, answers))
        return self._answered(part, result)

    def _failed(self, result: FindResult[StudyMatch], error: Exception) -> Result:
        answers = len(result.matches)
        pieces = self._pieces_after(error, answers)
        if pieces is None:
            raise error
        blind = {} if answers else {BLIND: self._claim.payload.get(BLIND, 0) + 1}
        return self._cut(pieces, result, blind, str(error))

    def _pieces_after(self, error: Exception, answers: int) -> Sequence[Slice] | None:
        """Return the parts to ask for instead, if the slice seems to be too much for the PACS."""
        payload = self._claim.payload
        if not isinstance(error, PeerError) or "code" not in payload:
            return None
        blind, failures = payload.get(BLIND, 0), self._claim.failures
        if not worth_cutting(error, answers=answers, failures=failures, blind=blind):
            return None
        pieces = self._pieces(slice_of(payload))
        return pieces if pieces is None or answers or self._answers_a_minute() else None

    def _answers_a_minute(self) -> bool:
        """Tell whether a part is answered that is too small to be too much."""
        part = slice_payload(last_minute(slice_of(self._claim.payload), self._facts.today))
        result = self._asker.studies(_identifier(part, self._facts.criteria), part)
        if isinstance(result.error, InterruptedWorkError):
            raise result.error
        return result.error is None

    def _pieces(self, part: Slice) -> Sequence[Slice] | None:
        if part.days is not None:
            return halve(part, self._facts.today)
        ends_early = part.date_until is not None and part.date_until < EARLIEST
        begins_late = part.date_from is not None and part.date_from > self._facts.today
        return None if ends_early or begins_late else pieces_of_open(part, self._facts.today)

    def _empty(self, part: Slice, result: FindResult[StudyMatch]) -> Result:
        """Believe an empty window, put it behind the others, which may prove it, or cut it."""
        pieces = None if self._believes_empty(part) else self._pieces(part)
        if pieces is None:
            return self._complete(result)
        if AGAIN not in self._claim.payload:
            return self._cut([part], result, {AGAIN: True}, "nothing; asked again after the others")
        return self._cut(pieces, result, {AGAIN: True}, "nothing in a window wider than any that answered")

    def _believes_empty(self, part: Slice) -> bool:
        if part.days is None or part.date_until is None:
            return self._learner.profile.believes_empty(EVER_DAYS)
        # Nobody named these days: to cut decades into single ones would be no gentle question.
        far = EVER in self._claim.payload and part.date_until < self._facts.today - _YEAR
        return self._learner.profile.believes_empty(part.days) or (far and part.days <= OLD_DAYS)

    def _answered(self, part: Slice, result: FindResult[StudyMatch]) -> Result:
        answers, whole = len(result.matches), self._claim.payload.get(VERIFIES)
        profile = self._learner.profile
        if profile.believes_all(answers) or (whole is not None and answers < whole):
            return self._complete(result)
        if whole is not None:
            self._learner.learn(lambda known: known.capped(answers))
        pieces = _two_of_open(part, self._facts.today) or self._pieces(part)
        if pieces is not None:
            return self._cut(pieces, result, {VERIFIES: answers}, "compared with its parts")
        if self._learner.profile.cap is None:
            return self._complete(result)
        detail = f"the PACS stops at {answers} answers, and this window cannot be cut further"
        raise PeerError(Outcome.CAPPED, detail, permanent=True)

    def _cut(
        self, pieces: Sequence[Slice], result: FindResult[StudyMatch], extra: dict[str, Any], why: str
    ) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_total=len(pieces) - 1)
            parent = {"parent_id": self._claim.task_id}
            if slice_of(self._claim.payload).days is None or EVER in self._claim.payload:
                extra[EVER] = True
            delay_s = AGAIN_AFTER_S if AGAIN in extra and AGAIN not in self._claim.payload else 0.0
            tasks = [NewTask(SLICE, slice_payload(piece) | extra, parent, delay_s) for piece in pieces]
            self._learner.save_in(session)
            return [*tasks, *self._take(session, result)]

        return Result(write, state="cut", detail=why, after=self._told)

    def _complete(self, result: FindResult[StudyMatch]) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_complete=1)
            task = session.get_one(QueryTask, self._claim.task_id)
            task.payload = task.payload | {"answers": len(result.matches)}
            self._compare(session, task)
            self._learner.save_in(session)
            if "code" in self._claim.payload:
                days = self._learner.profile.widest_days
                widen(session, self._claim, len(result.matches), days)
            return self._take(session, result)

        return Result(write, after=self._told)

    def _told(self) -> None:
        self._tell(self._claim.job_id, self._decided)

    def _take(self, session: Session, result: FindResult[StudyMatch]) -> Sequence[NewTask]:
        """Write what was found; what the study level is enough to decide is decided."""
        claim = self._claim
        matches = [match for match in result.matches if _asked_for(match, claim.payload)]
        for answer in add_studies(session, claim.job_id, claim.task_id, matches):
            decision = decide(self._facts.criteria, answer, None, {}, KnownObjects())
            if isinstance(decision, StudyDecision):
                save_decision(session, claim.job_id, None, decision)
                self._decided.append(decision)
        return full_examinations(session, claim.job_id)

    def _compare(self, session: Session, task: QueryTask) -> None:
        """Learn from a window and its parts, once all parts are answered, how much the PACS can answer."""
        whole = task.payload.get(VERIFIES)
        if whole is None:
            return
        session.flush()
        parts = session.scalars(
            select(QueryTask).where(QueryTask.job_id == task.job_id, QueryTask.parent_id == task.parent_id)
        ).all()
        if any("answers" not in part.payload for part in parts):
            return
        if sum(part.payload["answers"] for part in parts) > whole:
            self._learner.learn(lambda profile: profile.capped(whole))
        else:
            self._learner.learn(lambda profile: profile.proved(whole))


def _two_of_open(part: Slice, today: date) -> Sequence[Slice] | None:
    """Cut a window without beginning a year before its end: enough to compare its answers with."""
    if part.date_from is not None or (part.date_until is not None and part.date_until < EARLIEST):
        return None
    cut = (part.date_until or today) - _YEAR
    return replace(part, date_from=cut + timedelta(days=1)), replace(part, date_until=cut)


def _identifier(payload: dict[str, Any], criteria: Criteria) -> Dataset:
    with_station_name = criteria.station_at_study_level
    if "study_instance_uid" in payload:
        uids = [payload["study_instance_uid"]]
        return study_identifier(study_instance_uids=uids, with_station_name=with_station_name)
    if "accession_number" in payload:
        number = payload["accession_number"]
        return study_identifier(accession_number=number, with_station_name=with_station_name)
    part = slice_of(payload)
    return study_identifier(
        study_date=part.study_date_key(),
        study_time=part.study_time_key(),
        modalities_in_study=[part.code] if part.code else [],
        with_station_name=with_station_name,
    )


def _asked_for(match: StudyMatch, payload: dict[str, Any]) -> bool:
    """Match again on our side: some PACS ignore keys. What was not returned cannot be compared."""
    if "study_instance_uid" in payload:
        return match.study_instance_uid == str(payload["study_instance_uid"])
    if "accession_number" in payload:
        return match.accession_number in (None, payload["accession_number"])
    day, part = _study_day(match.study_date), slice_of(payload)
    if day is None:
        return True
    return (part.date_from or day) <= day <= (part.date_until or day)


def _study_day(text: str | None) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if text and len(text) >= 8 else None  # noqa: PLR2004 - yyyymmdd
    except ValueError:
        return None
