"""The search of one window: one C-FIND at STUDY level, and what follows from its result.

A result is believed only as far as the node has proven itself: more matches than it was ever proven to return
in full are compared with the matches of the halves of the window, and a window wider than any that ever had
a match is split before it is believed to be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from sqlalchemy.orm import Session

from services.query.context import TaskScope
from services.query.ledger.slices import (
    add_untimed_failure,
    end_head_start,
    fail_open_slices,
    let_as_wide_begin,
    record_matches,
    sibling_matches,
)
from services.query.ledger.studies import add_counts
from services.query.ledger.study_probe import ProbeLedger
from services.query.search.found_studies import FoundStudies, in_hours
from services.query.search.key_controls import KeyControls, doubted, windows_without
from services.query.search.merging import CodeListProof, merge_pending, unmatched, widen
from services.query.search.node_probe import NodeProbe
from services.query.search.smallest_window import beyond_cap, beyond_result
from services.query.search.splitting import (
    EVER_DAYS,
    are_hidden_by,
    believes_empty,
    fitting_pieces,
    halves_of_open,
    has_strays,
    is_ignored,
    pieces_of,
    single_codes,
    worth_cutting,
)
from services.query.search.wider_windows import NumberProof
from services.query.search.window_find import WindowFind
from shared.contract.reasons import Reason, sentence
from shared.database.models import QueryTask
from shared.database.session import Database
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.jobs.model import Ending, Result
from shared.jobs.new_task import NewTask
from shared.querying.initial_tasks import codes_of
from shared.querying.payloads import SLICE, WindowSlice, to_json
from shared.querying.profile import UNPROVEN, CodeStrategy, Habit
from shared.querying.slices import Slice

#: Seconds before an empty window is searched again: windows of other codes may have taught something by then.
AGAIN_AFTER_S = 2.0
#: By how much the pieces of a window are due before what was to follow it.
_AHEAD = timedelta(seconds=1)


class WindowTask:
    """The search of one window."""

    def __init__(
        self,
        database: Database,
        task: TaskScope,
        part: WindowSlice,
        found_studies: FoundStudies,
        probe: ProbeLedger,
    ) -> None:
        learner, context, limit = task.learner, task.context, task.limit
        self._database = database
        self._find = WindowFind(task.scu, learner, part, context.criteria, limit)
        self._learner = learner
        self._claim = task.claim
        self._slice = part
        self._context = context
        self._found_studies = found_studies
        self._limit = limit
        self._number = NumberProof(part.window, self._find, learner, context.today)
        self._now = probe.now
        self._probe = NodeProbe(probe, self._find.either_way, learner, context)
        found_studies.leaves_out_other_hours = learner.profile.times_matched is False
        find, web = self._find.control, self._find.is_web
        self._controls = KeyControls(part.window, find, learner, limit, self._probe, on_a_day=web)
        #: Whether nothing was known of the node when this began.
        self._was_unknown = not learner.profile.busiest
        #: Whether this proved that the node takes the codes in one list.
        self._has_new_list = False
        #: Whether the window is a day, and the node does not match on its times.
        self._is_whole_day = False
        #: Whether as many matches are believed although the node may stop at their number.
        self._cap_unproven = False

    def perform(self) -> Result:
        """Search the window; what is too much for the PACS, or not to be believed, is split.

        Raises:
            PeerError: the result is not complete, and splitting would not help.
            NotNowError: windows that may prove this one to be empty are searched first.
            InterruptedWorkError: stopping was requested.
        """
        if self._slice.again and not self._believes_empty():
            with self._database.read() as session:
                let_as_wide_begin(session, self._claim, self._slice.window.days, self._now())
        if self._limit.needs_probe() and not self._find.minute_succeeds(self._context.today):
            raise self._limit.error()
        if self._probe.holds_nothing():
            return self._unproven()
        split = self._split_at_once()
        if split is not None:
            return split
        result = self._find.search()
        if result.error is not None:
            return self._failed(result, result.error)
        self._found_studies.takes_strays = self._controls.heeds_dates(result.matches)
        hides = self._controls.hide_studies(result)
        if not hides and self._learner.profile.modalities_matched:
            self._learn_code_list()
        late = [match for match in result.matches if not in_hours(match, self._context.criteria)]
        self._found_studies.leaves_out_other_hours = self._controls.ignores_hours(late)
        if hides:
            known = windows_without(self._slice.window, self._learner.profile)
            if known is not None:  # none for a window of more days than are searched one by one
                return self._split(known, result, WindowSlice(), "a key hides studies", merge=True)
        matches = len(result.matches)
        if matches == 0:
            return self._empty(result)
        days = self._slice.window.days or EVER_DAYS
        self._learner.learn(lambda profile: profile.matched(days, matches))
        return self._came_in_pages(result) or self._matched(result)

    def _split_at_once(self) -> Result | None:
        """Split a window without a search, where it is known that its result would not be believed."""
        known = windows_without(self._slice.window, self._learner.profile)
        if known is not None:
            why = "the node does not match on all of its keys"
            return self._split(known, FindResult(), WindowSlice(), why, merge=True)
        fitting, why = fitting_pieces(self._slice, self._learner.profile), "fewer matches are not compared"
        return None if fitting is None else self._split(fitting, FindResult(), WindowSlice(), why)

    # A failure

    def _failed(self, result: FindResult[StudyMatch], error: Exception) -> Result:
        pieces = self._find.pieces_in_another_form(result) or self._pieces_after(error, result.matches)
        if pieces is None:
            self._found_studies.keep(self._database, self._doubted(result))
            raise error
        blind = 0 if result.matches else self._slice.blind + 1
        return self._split(pieces, result, WindowSlice(blind=blind), str(error))

    def _pieces_after(self, error: Exception, matches: Sequence[StudyMatch]) -> Sequence[Slice] | None:
        """Return the parts to search instead, if the window seems to be too much for the PACS."""
        if not isinstance(error, PeerError):
            return None
        blind, failures = self._slice.blind, self._claim.failures
        if not worth_cutting(error, matches=len(matches), failures=failures, blind=blind):
            return None
        pieces = self._pieces(matches, known_only=not matches) or self._single_codes()
        hopeless = pieces and not matches and not self._find.minute_succeeds(self._context.today)
        return None if hopeless else pieces

    def _single_codes(self) -> Sequence[Slice] | None:
        window = self._slice.window
        return single_codes(window) if len(window.codes()) > 1 else None

    def _pieces(
        self, matches: Sequence[StudyMatch] = (), *, known_only: bool = False
    ) -> Sequence[Slice] | None:
        pieces = pieces_of(self._slice.window, self._context.today, matches)
        if pieces is not None and self._slice.window.days == 1:
            self._is_whole_day = not self._find.divides_day(pieces, matches, known_only=known_only)
        return None if self._is_whole_day else pieces

    # No match

    def _empty(self, result: FindResult[StudyMatch]) -> Result:
        """Believe an empty window, put it behind the others, which may prove it, or split it."""
        pieces = None if self._believes_empty() else self._pieces()
        if pieces is None:
            return self._complete(result)
        if not self._slice.again:
            pieces, detail = [self._slice.window], "nothing; searched again after the others"
        else:
            detail = "nothing in a window wider than any that had a match"
        return self._split(pieces, result, WindowSlice(again=True), detail)

    def _believes_empty(self) -> bool:
        return believes_empty(self._slice, self._learner.profile, self._context.today)

    def _unproven(self) -> Result:
        """End the query: that there is nothing rests on the word of the node alone."""

        def write(session: Session) -> Sequence[NewTask]:
            fail_open_slices(session, self._claim.job_id)
            self._learner.save_in(session)
            return []

        ending = Ending("incomplete", Reason.NOTHING_FOUND.value, sentence(Reason.NOTHING_FOUND))
        return Result(write, state="failed", error=ending.failure, detail=ending.detail, end_job=ending)

    # Matches

    def _came_in_pages(self, result: FindResult[StudyMatch]) -> Result | None:
        """Split a window whose studies came in pages: behind a page may be nothing though there is more."""
        if not result.largest_page:
            return None
        pieces = self._pieces(result.matches)
        if pieces is None or are_hidden_by(self._slice.window, pieces, result.matches):
            return self._beyond(result, pieces)
        return self._split(pieces, result, WindowSlice(), "returned in pages")

    def _beyond(self, result: FindResult[StudyMatch], pieces: Sequence[Slice] | None = None) -> Result | None:
        """Compare a window with others; search its pieces, if any, where they do not prove it."""
        window, cap = self._slice.window, self._learner.profile.cap
        both, is_all = beyond_result(window, result, self._find, self._number, cap)
        if is_all:
            return self._complete(both)
        if is_all is None or pieces is not None:
            return self._split(pieces, both, WindowSlice(), "returned in pages") if pieces else None
        held_back = len(both.matches) > len(result.matches)
        if not (held_back or self._find.is_web):
            self._learner.learn(lambda known: known.capped(len(result.matches)))
        return self._last_resort(both, held_back=held_back)

    def _matched(self, result: FindResult[StudyMatch]) -> Result:
        matches, whole, window = len(result.matches), self._slice.verifies, self._slice.window
        ignored = is_ignored(window, result.matches)
        slow = whole is None and not ignored and self._number.is_slow(result)
        if whole is None and not ignored and not slow:
            self._number.prove_small(matches)
        profile = self._learner.profile
        alone = whole is None and has_strays(window, result.matches)
        proven = profile.believes_all(matches)
        believed = slow or proven or (alone and profile.believes_few(matches))
        self._cap_unproven = believed and not proven and profile.cap is None
        if believed or (whole is not None and matches < whole):
            return self._complete(result)
        few, open_halves = matches <= UNPROVEN, halves_of_open(window, self._context.today)
        pieces = None if ignored else open_halves or self._pieces(result.matches, known_only=few)
        if self._is_whole_day and (beyond := self._beyond(result)) is not None:
            return beyond
        # A part that brings the whole once more may just not be matched on; a day whose times are ignored
        # has no parts.
        undivided = ignored and whole is None and window.days == 1
        if undivided or (whole is not None and (not ignored or matches == whole)):
            if self._number.is_all(result):
                return self._complete(result)
            if not ignored:
                self._learner.learn(lambda known: known.capped(matches))
        if pieces is not None:
            return self._split(pieces, result, WindowSlice(verifies=matches), "compared with its parts")
        self._cap_unproven = self._learner.profile.cap is None and not ignored
        return self._complete(result) if self._cap_unproven else self._last_resort(result)

    def _last_resort(self, result: FindResult[StudyMatch], *, held_back: bool = False) -> Result:
        """Search each code alone, or by more keys; what was found is taken in any case."""
        codes = self._single_codes()
        if codes is not None:
            return self._split(codes, result, WindowSlice(), "searched for each code alone")
        if held_back:
            return self._incomplete(len(result.matches), result)
        both, is_all = beyond_cap(self._slice.window, result, self._find, self._learner.profile.cap)
        return self._complete(both) if is_all else self._incomplete(len(result.matches), both)

    def _incomplete(self, cap: int, result: FindResult[StudyMatch]) -> Result:
        error = PeerError(
            Outcome.CAPPED,
            f"{cap} matches came, and no more for a wider window: the PACS may stop there, and this window"
            " cannot be cut further",
            permanent=True,
        )

        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_failed=1)
            self._save_lessons(session)
            return self._found_studies.take(session, self._doubted(result))

        return Result(
            write, state="failed", error=error.code, detail=str(error), after=self._found_studies.published
        )

    # Results

    def _split(
        self,
        pieces: Sequence[Slice],
        result: FindResult[StudyMatch],
        origin: WindowSlice,
        why: str,
        *,
        merge: bool = False,
    ) -> Result:
        """Search the pieces instead; `origin` holds how they came about.

        `merge`: the windows that wait are searched in another way, too.
        """
        ever = self._slice.window.days is None or self._slice.ever
        untimed = are_hidden_by(self._slice.window, pieces, result.matches)
        origin = replace(origin, ever=ever, untimed=untimed, rechecked=self._slice.rechecked)

        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_total=len(pieces) - 1)
            if untimed and origin.verifies is None:
                add_untimed_failure(session, self._claim, self._slice)
            self._save_lessons(session)
            tasks = self._tasks(session, [replace(origin, window=piece) for piece in pieces])
            if merge or self._has_new_list:
                self._merge(session)
            return [*tasks, *self._found_studies.take(session, self._doubted(result))]

        return Result(write, state="cut", detail=why, after=self._found_studies.published)

    def _save_lessons(self, session: Session) -> None:
        self._learner.save_in(session)
        if self._was_unknown:
            end_head_start(session, self._claim)

    def _tasks(self, session: Session, parts: Sequence[WindowSlice]) -> list[NewTask]:
        parent = {"parent_id": self._claim.task_id}
        if parts[0].again and not self._slice.again:
            return [NewTask(SLICE, to_json(part), parent, AGAIN_AFTER_S) for part in parts]
        # Before all that waits: what a piece proves saves the others from being split.
        due_at = session.get_one(QueryTask, self._claim.task_id).due_at - _AHEAD
        return [NewTask(SLICE, to_json(part), parent, due_at=due_at) for part in parts]

    def _complete(self, result: FindResult[StudyMatch]) -> Result:
        self._learn_codes(result)
        matches = len(result.matches)

        def write(session: Session) -> Sequence[NewTask]:
            add_counts(session, self._claim.job_id, slices_complete=1)
            task = session.get_one(QueryTask, self._claim.task_id)
            without_code = self._controls.found_without_code
            record_matches(task, matches, self._habits(), without_code=without_code)
            self._compare(session, task)
            self._save_lessons(session)
            if self._learner.profile.date_ranges is not False:
                widen(session, self._claim, self._slice, matches, self._learner.profile.widest_days)
            self._merge(session)
            return self._found_studies.take(session, self._doubted(result))

        return Result(write, after=self._found_studies.published)

    def _habits(self) -> list[Habit]:
        """Return what is not known of the node, and the result depends on."""
        habits: list[Habit] = [*self._controls.unproven()]
        if self._find.day_unproven:
            habits.append("dates")
        if self._cap_unproven:
            habits.append("cap")
        return habits

    def _doubted(self, result: FindResult[StudyMatch]) -> list[StudyMatch]:
        matched = self._learner.profile.modalities_matched
        found = doubted(self._slice.window, result.matches, matched=matched)
        return found + self._controls.beyond

    def _learn_codes(self, result: FindResult[StudyMatch]) -> None:
        """Learn from the matches of one code whether the others can be requested together with it."""
        codes = self._slice.window.codes()
        if len(codes) != 1 or self._controls.found_without_code:
            return
        if unmatched(result.matches, codes[0]) and self._controls.ignores_codes(result.matches):
            self._learner.learn(lambda profile: replace(profile, modalities_matched=False))
            return
        self._code_list_proof().learn(result.matches, self._find.window)

    def _learn_code_list(self) -> None:
        """Learn from a control request whether the node takes a list of codes, and how many matches come."""
        sample, studies = self._controls.compared, self._controls.without_code
        find = self._find.window
        self._has_new_list = self._code_list_proof().learn_from_control(sample, studies, find)
        if self._has_new_list and self._was_unknown and self._find.is_web:
            self._number.prove_days(codes_of(self._context.criteria), sample, studies)

    def _code_list_proof(self) -> CodeListProof:
        all_codes = codes_of(self._context.criteria)
        return CodeListProof(self._database, self._claim, self._slice, self._learner, all_codes)

    def _merge(self, session: Session) -> None:
        strategy = self._learner.profile.code_strategy(len(codes_of(self._context.criteria)))
        if strategy is not CodeStrategy.EACH and len(self._slice.window.codes()) == 1:
            merge_pending(session, self._claim, self._slice.window, strategy)

    def _compare(self, session: Session, task: QueryTask) -> None:
        """Learn from a window and its parts, once all parts are complete, how much the PACS returns."""
        whole = self._slice.verifies
        parts = None if whole is None else sibling_matches(session, task)
        if whole is None or parts is None:
            return
        # A part with as many matches as the whole was compared with wider windows by itself.
        self._learner.learn(lambda profile: profile.compared(whole, parts))
        if self._slice.untimed and max(parts) < whole < sum(parts):
            add_untimed_failure(session, self._claim, self._slice)
