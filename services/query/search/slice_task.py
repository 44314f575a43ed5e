"""Work on one slice: one C-FIND at STUDY level, and what follows from its answer.

An answer is believed only as far as the node has proven itself: more answers than it was ever proven to give
in full are compared with the answers to the halves of the window, and a window wider than any that ever
answered with something is cut before it is believed to be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.query.find_scu import FindScu
from services.query.ledger.studies import add_counts
from services.query.profile.learner import Learner
from services.query.search.found_studies import FoundStudies, QueryContext
from services.query.search.merging import Prover, join_waiting, unmatched, widen
from services.query.search.slice_identifier import slice_identifier
from services.query.search.splitting import (
    TOO_MUCH,
    UNTIMED,
    are_hidden_by,
    by_description,
    by_second,
    is_ignored,
    last_and_first_minute,
    miss_the_rest_of_the_day,
    worth_cutting,
)
from shared.database.models import QueryTask
from shared.database.session import Database
from shared.dicom.association.c_find import FindResult
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.query.matches import StudyMatch
from shared.jobs.model import Claim, Result
from shared.jobs.new_task import NewTask
from shared.querying.payloads import (
    EARLIEST,
    OLD_DAYS,
    SLICE,
    codes_of,
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
#: By how much the pieces of a window are begun before what was to follow it.
_AHEAD = timedelta(seconds=1)

#: In a payload: the window is a piece of one without beginning or end.
EVER = "ever"

#: The width of a window without beginning or end.
EVER_DAYS = 36500
_YEAR = timedelta(days=366)


class SliceTask:
    """One slice in hand."""

    def __init__(
        self,
        database: Database,
        scu: FindScu,
        learner: Learner,
        claim: Claim,
        context: QueryContext,
        found_studies: FoundStudies,
    ) -> None:
        self._database = database
        self._scu = scu
        self._learner = learner
        self._claim = claim
        self._context = context
        self._found_studies = found_studies

    def perform(self) -> Result:
        """Ask for the slice; what is too much for the PACS, or not to be believed, is cut.

        Raises:
            PeerError: the answer is not complete, and cutting would not help.
            InterruptedWorkError: stopping was asked for.
        """
        payload = self._claim.payload
        result = self._ask(payload)
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

    def _ask(self, payload: dict[str, Any]) -> FindResult[StudyMatch]:
        """Ask; what a node that never named a study answers with nothing is asked in another way as well."""
        if AGAIN not in payload or self._learner.profile.busiest:
            result = self._ask_one_way(payload, other=False)
            never = result.complete and not result.matches and not self._learner.profile.busiest
            if not never or slice_of(payload).days != 1:
                return result
        return self._ask_one_way(payload, other=True)

    def _ask_one_way(self, payload: dict[str, Any], *, other: bool) -> FindResult[StudyMatch]:
        keys = slice_identifier(payload, self._context.criteria, self._learner.profile, other=other)
        result = self._scu.studies(keys, payload)
        if other and result.complete and result.matches:
            needed = "Modality" in keys
            self._learner.learn(lambda profile: replace(profile, study_modality_key=needed))
        return result

    def _failed(self, result: FindResult[StudyMatch], error: Exception) -> Result:
        pieces = self._pieces_by_code(error) or self._pieces_after(error, result.matches)
        if pieces is None:
            raise error
        blind = {} if result.matches else {BLIND: self._claim.payload.get(BLIND, 0) + 1}
        return self._cut(pieces, result, blind, str(error))

    def _pieces_after(self, error: Exception, matches: Sequence[StudyMatch]) -> Sequence[Slice] | None:
        """Return the parts to ask for instead, if the slice seems to be too much for the PACS."""
        payload = self._claim.payload
        if not isinstance(error, PeerError) or "code" not in payload:
            return None
        blind, failures = payload.get(BLIND, 0), self._claim.failures
        if not worth_cutting(error, answers=len(matches), failures=failures, blind=blind):
            return None
        pieces = self._pieces(slice_of(payload), matches)
        return pieces if pieces is None or matches or self._answers_a_minute() else None

    def _answers_a_minute(self) -> bool:
        """Tell whether a part is answered that is too small to be too much."""
        for minute in last_and_first_minute(slice_of(self._claim.payload), self._context.today):
            result = self._ask_one_way(slice_payload(minute), other=False)
            if isinstance(result.error, InterruptedWorkError):
                raise result.error
            if result.error is None:
                return True
        return False

    def _pieces_by_code(self, error: Exception) -> Sequence[Slice] | None:
        """Return a slice for each code instead of one for their list, if the PACS refuses the list."""
        codes = slice_of(self._claim.payload).codes()
        if not isinstance(error, PeerError) or error.outcome is not Outcome.STATUS or len(codes) < 2:  # noqa: PLR2004
            return None
        if error.status_code in TOO_MUCH:
            return None
        self._learner.learn(lambda profile: replace(profile, code_list=0))
        return _single(slice_of(self._claim.payload))

    def _pieces(self, part: Slice, matches: Sequence[StudyMatch] = ()) -> Sequence[Slice] | None:
        if is_ignored(part, matches):
            return None
        if part.days is not None:
            return halve(part, self._context.today)
        ends_early = part.date_until is not None and part.date_until < EARLIEST
        begins_late = part.date_from is not None and part.date_from > self._context.today
        return None if ends_early or begins_late else pieces_of_open(part, self._context.today)

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
        far = EVER in self._claim.payload and part.date_until < self._context.today - _YEAR
        return self._learner.profile.believes_empty(part.days) or (far and part.days <= OLD_DAYS)

    def _answered(self, part: Slice, result: FindResult[StudyMatch]) -> Result:
        answers, whole = len(result.matches), self._claim.payload.get(VERIFIES)
        profile = self._learner.profile
        if profile.believes_all(answers) or (whole is not None and answers < whole):
            return self._complete(result)
        ignored = is_ignored(part, result.matches)
        if whole is not None and not ignored:
            self._learner.learn(lambda known: known.capped(answers))
        pieces = None if ignored else _two_of_open(part, self._context.today) or self._pieces(part)
        if pieces is not None:
            return self._cut(pieces, result, {VERIFIES: answers}, "compared with its parts")
        if self._learner.profile.cap is None and not ignored:
            return self._complete(result)
        if len(part.codes()) > 1:
            return self._cut(_single(part), result, {}, "asked for each code alone")
        return self._last_resort(part, result)

    def _last_resort(self, part: Slice, result: FindResult[StudyMatch]) -> Result:
        """Ask for the minute by its seconds, then by descriptions; what was found is taken in any case."""

        def ask(keyword: str, value: str) -> FindResult[StudyMatch]:
            payload = slice_payload(part)
            keys = slice_identifier(payload, self._context.criteria, self._learner.profile)
            setattr(keys, keyword, value)
            published = {"study_time": value} if keyword == "StudyTime" else {"first_letter": value}
            return self._scu.studies(keys, payload | published)

        def believes(answers: int) -> bool:
            return answers < (self._learner.profile.cap or len(result.matches))

        found, all_of_them = list[StudyMatch](), False
        if not is_ignored(part, result.matches):
            found, all_of_them = by_second(result.matches, part.minutes()[0], ask, believes)
            found += [] if all_of_them else by_description(result.matches, ask, believes)
        both = replace(result, matches=[*result.matches, *found])
        if all_of_them:
            return self._complete(both)
        error = PeerError(
            Outcome.CAPPED,
            f"the PACS stops at {len(result.matches)} answers, and this window cannot be cut further",
            permanent=True,
        )

        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_failed=1)
            self._learner.save_in(session)
            return self._found_studies.take(session, both.matches)

        return Result(
            write, state="failed", error=error.code, detail=str(error), after=self._found_studies.published
        )

    def _cut(
        self, pieces: Sequence[Slice], result: FindResult[StudyMatch], extra: dict[str, Any], why: str
    ) -> Result:
        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_total=len(pieces) - 1)
            parent = {"parent_id": self._claim.task_id}
            part = slice_of(self._claim.payload)
            if part.days is None or EVER in self._claim.payload:
                extra[EVER] = True
            if are_hidden_by(part, pieces, result.matches):
                extra[UNTIMED] = True
                if VERIFIES not in extra:
                    miss_the_rest_of_the_day(session, self._claim)
            if AGAIN in extra and AGAIN not in self._claim.payload:
                delay_s, due_at = AGAIN_AFTER_S, None
            else:
                # Before all that waits: what a piece proves saves the others from being cut.
                delay_s, due_at = 0.0, session.get_one(QueryTask, self._claim.task_id).due_at - _AHEAD
            payloads = [slice_payload(piece) | extra for piece in pieces]
            tasks = [NewTask(SLICE, payload, parent, delay_s, due_at) for payload in payloads]
            self._learner.save_in(session)
            return [*tasks, *self._found_studies.take(session, result.matches)]

        return Result(write, state="cut", detail=why, after=self._found_studies.published)

    def _complete(self, result: FindResult[StudyMatch]) -> Result:
        self._learn_of_codes(result)

        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_complete=1)
            task = session.get_one(QueryTask, self._claim.task_id)
            task.payload = task.payload | {"answers": len(result.matches)}
            self._compare(session, task)
            self._learner.save_in(session)
            if "code" in self._claim.payload:
                days = self._learner.profile.widest_days
                widen(session, self._claim, len(result.matches), days)
                self._join(session)
            return self._found_studies.take(session, result.matches)

        return Result(write, after=self._found_studies.published)

    def _learn_of_codes(self, result: FindResult[StudyMatch]) -> None:
        """Learn from an answer to one code whether the others can be asked for together with it."""
        codes = slice_of(self._claim.payload).codes()
        if len(codes) != 1:
            return
        if unmatched(result.matches, codes[0]):
            self._learner.learn(lambda profile: replace(profile, modalities_matched=False))
            return
        prover = Prover(self._database, self._claim, self._learner, codes_of(self._context.criteria))
        prover.learn(result.matches, lambda part: self._ask_one_way(slice_payload(part), other=False))

    def _join(self, session: Session) -> None:
        together = self._learner.profile.joins(len(codes_of(self._context.criteria)))
        if together is not None and len(slice_of(self._claim.payload).codes()) == 1:
            join_waiting(session, self._claim, in_list=together)

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
            if UNTIMED in task.payload:
                miss_the_rest_of_the_day(session, self._claim)
        else:
            self._learner.learn(lambda profile: profile.proved(whole))


def _two_of_open(part: Slice, today: date) -> Sequence[Slice] | None:
    """Cut a window without beginning a year before its end: enough to compare its answers with."""
    if part.date_from is not None or (part.date_until is not None and part.date_until < EARLIEST):
        return None
    cut = (part.date_until or today) - _YEAR
    return replace(part, date_from=cut + timedelta(days=1)), replace(part, date_until=cut)


def _single(part: Slice) -> list[Slice]:
    return [replace(part, code=code) for code in part.codes()]
