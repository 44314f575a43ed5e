"""Whether a node holds any study at all: a few wide windows before thousands of narrow ones."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from services.query.context import QueryContext
from services.query.ledger.study_probe import ProbeLedger, ProbeState
from services.query.profile.learner import Learner
from shared.contract.criteria import window as requested_days
from shared.dicom.errors import NotNowError
from shared.dicom.query.matches import FindResult, StudyMatch
from shared.querying.slices import Slice

FindWindow = Callable[[Slice], FindResult[StudyMatch]]

#: Slices of a query of many years that are searched on a node that never named a study; then it is probed.
#: Each of them sends six C-FINDs at most, and the probe as many: an empty archive gets at most 60.
SLICES_BEFORE_PROBE = 8

#: Days of such a query.
_MANY_DAYS = 2 * 366

#: Days before today in which a node that holds anything is most likely to hold it; None: all dates.
_RECENT_DAYS = (31, 366, None)

#: For how long other tasks wait while one of them probes.
_WAIT = timedelta(seconds=0.5)


class NodeProbe:
    """The probe of a query's node, which one of its tasks makes."""

    def __init__(
        self, ledger: ProbeLedger, find: FindWindow, learner: Learner, context: QueryContext
    ) -> None:
        """Make one; `find` finds studies with and without an empty Modality."""
        self._ledger = ledger
        self._find = find
        self._learner = learner
        self._context = context

    def holds_nothing(self) -> bool:
        """Return whether a query of many years is to end, since its node names no study of any date.

        Raises:
            NotNowError: another task is about to find out.
            PeerError: a request of the probe failed.
            InterruptedWorkError: stopping was requested.
        """
        if not self._is_due():
            return False
        names_study = self.names_a_study()
        if names_study is None:
            raise NotNowError(self._ledger.now() + _WAIT, "", whole_node=True)
        return not names_study

    def _is_due(self) -> bool:
        days = requested_days(self._context.criteria, self._context.today)
        span = Slice(days.date_from, days.date_until).days
        if self._context.round or (span is not None and span < _MANY_DAYS):
            return False
        return not self._learner.profile.busiest and self._ledger.begun_slices() > SLICES_BEFORE_PROBE

    def names_a_study(self) -> bool | None:
        """Return whether the node names any study; None: another task is about to find out.

        Raises:
            PeerError: a request failed.
            InterruptedWorkError: stopping was requested.
        """
        state = self._ledger.take()
        if state is ProbeState.OTHERS:
            return None
        if state is ProbeState.OURS:
            names_study = names_a_study(self._find, self._context.today)
            if names_study:
                self._learner.learn(lambda profile: profile.matched(1, 1))
            self._ledger.record(self._learner.save_in, names_study=names_study)
            return names_study
        return state is ProbeState.NAMES_A_STUDY


def names_a_study(find: FindWindow, today: date) -> bool:
    """Return whether the node names any study, of any code, in a month, a year or ever.

    Raises:
        PeerError: a request failed.
        InterruptedWorkError: stopping was requested.
    """
    for days in _RECENT_DAYS:
        result = find(Slice() if days is None else Slice(today - timedelta(days=days), today))
        if result.error is not None:
            raise result.error
        if result.matches:
            return True
    return False
