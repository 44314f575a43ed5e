"""Asks for many studies at once where the node takes lists of UIDs; what a list leaves open is asked alone.

A list that is refused, ignored, answered with nothing or cut off teaches how many UIDs the node takes.
Nothing is believed that was not asked for, and an answer that may be cut off is used only for studies that
say how much they have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.query.examination.examine_study import object_answer, series_answer
from services.query.find_scu import FindScu
from services.query.profile.learner import Learner
from services.query.rules.decide import KnownObjects, Needs, ObjectAnswer, SeriesAnswer, StudyAnswer, decide
from shared.contract.criteria import Criteria
from shared.dicom.association.c_find import FindResult
from shared.dicom.errors import InterruptedWorkError, Outcome
from shared.dicom.query.matches import ObjectMatch, SeriesMatch
from shared.errors import DoseQRError
from shared.querying.profile import SHORT_LIST_LENGTH

#: A list of one saves nothing.
_SHORTEST = 2

#: Rounds at image level: reports, then first images or known objects.
_MOST_ROUNDS = 3

#: Objects of series whose number the PACS does not tell.
_GUESSED_OBJECTS = 20
#: Objects that one list should bring at most.
_OBJECTS_AT_ONCE = 500

SeriesKey = tuple[str, str]


def prefetch(
    criteria: Criteria,
    studies: Sequence[StudyAnswer],
    days: Mapping[str, str],
    known: Mapping[str, KnownObjects],
    scu: FindScu,
    learner: Learner,
) -> None:
    """Ask for many studies at once for what the rules need of them; the answers wait in `asker`.

    `days` holds their Study Date (DA), for nodes that take no lists but relational queries.

    Raises:
        InterruptedWorkError: stopping was asked for.
        PeerError: there is no association.
    """
    prefetcher = _Prefetcher(criteria, studies, known, scu, learner)
    try:
        prefetcher.series()
        prefetcher.series_of_days(days)
        for _ in range(_MOST_ROUNDS):
            if not prefetcher.objects():
                return
    except _UnluckyError:
        # An association that broke says nothing about lists; each study is asked alone this time.
        return


#: Studies of one day that are worth to be told of all others of that day.
_WORTH_A_DAY = 4
#: Series that are told for one that was asked for, beyond which it is gentler to ask for single studies.
_MOST_FOR_ONE = 40

#: A Study Date (DA, PS3.5 6.2).
_DA = re.compile(r"[0-9]{8}")


class _UnluckyError(DoseQRError):
    """A list was not answered, for a reason that teaches nothing."""


class _Prefetcher:
    """The studies of one task."""

    def __init__(
        self,
        criteria: Criteria,
        studies: Sequence[StudyAnswer],
        known: Mapping[str, KnownObjects],
        scu: FindScu,
        learner: Learner,
    ) -> None:
        self._criteria = criteria
        self._studies = {study.study_instance_uid: study for study in studies}
        self._known = known
        self._scu = scu
        self._learner = learner

    # Series

    def series(self) -> None:
        """Ask for the series of the studies."""
        waiting = [uid for uid in self._studies if self._needs_of(uid).series]
        while len(waiting) >= _SHORTEST:
            length = self._learner.profile.list_length("SERIES")
            if length < _SHORTEST:
                return
            part, waiting = waiting[:length], waiting[length:]
            if not self._ask_series(part):
                waiting = [uid for uid in part + waiting if uid not in self._scu.series_answers]
                if not self._shorten("SERIES", len(part)):
                    return

    def _ask_series(self, uids: Sequence[str]) -> bool:
        """Ask for one list; tell whether the node takes lists of this length."""
        result = self._scu.series_of_many(uids)
        if not _usable(result):
            return False
        answered: dict[str, list[SeriesMatch]] = {}
        for match in result.matches:
            answered.setdefault(match.study_instance_uid or "", []).append(match)
        if not answered.keys() <= set(uids) or len(answered) <= len(uids) // 2:
            return False
        doubtful = not self._learner.profile.believes_all(len(result.matches))
        for uid, matches in answered.items():
            counted = self._studies[uid].series_count is not None
            if counted or not doubtful:
                self._scu.series_answers[uid] = matches
        self._learned("SERIES")
        return True

    def series_of_days(self, days: Mapping[str, str]) -> None:
        """Ask for all series of the days on which there are several of the studies that are left."""
        of_day: dict[str, list[str]] = {}
        for uid, day in days.items():
            open_question = uid in self._studies and uid not in self._scu.series_answers
            if open_question and _DA.fullmatch(day) and self._needs_of(uid).series:
                of_day.setdefault(day, []).append(uid)
        for day, uids in of_day.items():
            if self._learner.profile.list_length("SERIES") >= _SHORTEST:
                return
            if self._learner.profile.relational is False:
                return
            if len(uids) >= _WORTH_A_DAY and not self._ask_day(day, uids):
                return

    def _ask_day(self, day: str, uids: Sequence[str]) -> bool:
        """Ask for the series of one day; tell whether other days are worth asking for."""
        result = self._scu.series_of_days(day)
        if not _usable(result):
            self._learner.learn(lambda profile: replace(profile, relational=False))
            return False
        answered: dict[str, list[SeriesMatch]] = {}
        for match in result.matches:
            answered.setdefault(match.study_instance_uid or "", []).append(match)
        found = [uid for uid in uids if uid in answered]
        if len(found) <= len(uids) // 2:
            self._learner.learn(lambda profile: replace(profile, relational=False))
            return False
        self._learner.learn(lambda profile: replace(profile, relational=True))
        doubtful = not self._learner.profile.believes_all(len(result.matches))
        for uid in found:
            if self._studies[uid].series_count is not None or not doubtful:
                self._scu.series_answers[uid] = answered[uid]
        return len(result.matches) <= _MOST_FOR_ONE * len(uids)

    # Objects

    def objects(self) -> bool:
        """Ask for the objects that the rules need now; tell whether another round may help."""
        wanted = [
            (uid, series)
            for uid in self._studies
            if uid in self._scu.series_answers
            for series in sorted(self._needs_of(uid).images)
        ]
        asked = False
        for part in self._parts(wanted):
            length = self._learner.profile.list_length("IMAGE")
            if len(part) < _SHORTEST or length < _SHORTEST:
                continue
            if not self._ask_objects(part) and not self._shorten("IMAGE", len(part)):
                return False
            asked = True
        return asked

    def _parts(self, wanted: Sequence[SeriesKey]) -> list[list[SeriesKey]]:
        """Divide series into lists by their number and by the objects that they bring."""
        parts: list[list[SeriesKey]] = [[]]
        objects = 0
        length = self._learner.profile.list_length("IMAGE")
        for key in wanted:
            size = self._size(key)
            if parts[-1] and (len(parts[-1]) >= length or objects + size > _OBJECTS_AT_ONCE):
                parts.append([])
                objects = 0
            parts[-1].append(key)
            objects += size
        return parts

    def _size(self, key: SeriesKey) -> int:
        study, series = key
        matches = self._scu.series_answers[study]
        counts = [match.instance_count for match in matches if match.series_instance_uid == series]
        return counts[0] if counts and counts[0] is not None else _GUESSED_OBJECTS

    def _ask_objects(self, keys: Sequence[SeriesKey]) -> bool:
        study_of = {series: study for study, series in keys}
        result = self._scu.objects_of_many(list(dict.fromkeys(study_of.values())), list(study_of))
        if not _usable(result):
            return False
        answered: dict[str, list[ObjectMatch]] = {}
        for match in result.matches:
            answered.setdefault(match.series_instance_uid or "", []).append(match)
        if not answered.keys() <= study_of.keys() or len(answered) <= len(keys) // 2:
            return False
        doubtful = not self._learner.profile.believes_all(len(result.matches))
        for series, matches in answered.items():
            key = (study_of[series], series)
            if not doubtful or len(matches) == self._size(key):
                self._scu.object_answers[key] = matches
        self._learned("IMAGE")
        return True

    # What was learned

    def _learned(self, level: str) -> None:
        profile = self._learner.profile
        known = profile.series_list if level == "SERIES" else profile.image_list
        if known is None:
            longest = profile.list_length(level)
            self._learner.learn(lambda before: before.takes_lists(level, longest))

    def _shorten(self, level: str, refused: int) -> bool:
        """Learn that a list of this length is too long; tell whether a shorter one is worth a try."""
        length = SHORT_LIST_LENGTH if refused > SHORT_LIST_LENGTH else 0
        self._learner.learn(lambda before: before.takes_lists(level, length))
        return length >= _SHORTEST

    def _needs_of(self, uid: str) -> Needs:
        matches = self._scu.series_answers.get(uid)
        series: list[SeriesAnswer] | None = None
        objects: dict[str, list[ObjectAnswer]] = {}
        if matches is not None:
            series = [series_answer(match) for match in matches]
            objects = {
                key[1]: [object_answer(match) for match in found]
                for key, found in self._scu.object_answers.items()
                if key[0] == uid
            }
        known = self._known.get(uid, KnownObjects())
        verdict = decide(self._criteria, self._studies[uid], series, objects, known)
        return verdict if isinstance(verdict, Needs) else Needs()


def _usable(result: FindResult[SeriesMatch] | FindResult[ObjectMatch]) -> bool:
    """Tell whether an answer to a list is complete.

    Raises:
        InterruptedWorkError: stopping was asked for.
        _UnluckyError: the association broke.
    """
    if isinstance(result.error, InterruptedWorkError):
        raise result.error
    if result.error is not None and result.error.outcome is Outcome.ABORTED:
        raise _UnluckyError
    return result.error is None
