"""Requests for many studies together, where the node takes lists of UIDs; the rest is requested one by one.

A list that is refused, ignored, empty or cut off teaches how many UIDs the node takes. Nothing is believed
that was not requested, and a result that may be cut off is used only for studies that announce their size.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.query.examination.whole_studies import (
    WholeStudy,
    complete_studies,
    is_small,
    lists_of,
    show_the_same,
)
from services.query.find_scu import FindScu
from services.query.profile.learner import Learner
from services.query.profile.refused_keys import may_be_the_keys
from services.query.rules.decide import decide
from services.query.rules.model import KnownObjects, Needs
from shared.contract.criteria import Criteria
from shared.dicom.errors import InterruptedWorkError, Outcome
from shared.dicom.query.matches import (
    FindResult,
    ObjectMatch,
    RelationalMatch,
    SeriesMatch,
    StudyMatch,
)
from shared.errors import DoseQRError
from shared.querying.profile import SHORT_LIST_LENGTH

#: A list of a single UID saves nothing.
_SHORTEST = 2

#: Small studies with which it is found out whether their objects show their series as well.
_FEW_STUDIES = 10

#: Rounds at IMAGE level: reports, then first images or known objects.
_MOST_ROUNDS = 3

#: Objects that a series without a count is assumed to have.
_ASSUMED_OBJECTS = 20
#: Objects that one list should bring at most.
_MOST_OBJECTS = 500

#: Studies of one day for which the series of all studies of that day are worth a request.
_WORTH_A_DAY = 4
#: Series in the result for each that was needed, beyond which requests for single studies are gentler.
_MOST_FOR_ONE = 40

#: A Study Date (DA, PS3.5 6.2).
_DA = re.compile(r"[0-9]{8}")

SeriesKey = tuple[str, str]


@dataclass(slots=True)
class PrefetchedMatches:
    """Matches that wait until their study is examined; each is used once."""

    _series: dict[str, Sequence[SeriesMatch]] = field(default_factory=dict)
    _objects: dict[str, dict[str, Sequence[ObjectMatch]]] = field(default_factory=dict)

    def add_series(self, study_instance_uid: str, matches: Sequence[SeriesMatch]) -> None:
        """Keep the series of a study."""
        self._series[study_instance_uid] = matches

    def add_objects(
        self, study_instance_uid: str, series_instance_uid: str, matches: Sequence[ObjectMatch]
    ) -> None:
        """Keep the objects of a series."""
        self._objects.setdefault(study_instance_uid, {})[series_instance_uid] = matches

    def series_of(self, study_instance_uid: str) -> Sequence[SeriesMatch] | None:
        """Return the series of a study; None if they were not prefetched."""
        return self._series.get(study_instance_uid)

    def objects_of(self, study_instance_uid: str) -> Mapping[str, Sequence[ObjectMatch]]:
        """Return the objects of a study by series."""
        return self._objects.get(study_instance_uid, {})

    def take_series(self, study_instance_uid: str) -> Sequence[SeriesMatch] | None:
        """Return the series of a study once."""
        return self._series.pop(study_instance_uid, None)

    def take_objects(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[ObjectMatch] | None:
        """Return the objects of a series once."""
        return self._objects.get(study_instance_uid, {}).pop(series_instance_uid, None)


def prefetch(
    criteria: Criteria,
    studies: Sequence[StudyMatch],
    days: Mapping[str, str],
    known: Mapping[str, KnownObjects],
    scu: FindScu,
    learner: Learner,
) -> PrefetchedMatches:
    """Request what the rules need of many studies together.

    `days` holds their Study Date (DA), for nodes that take no lists but relational queries.

    Raises:
        InterruptedWorkError: stopping was requested.
        PeerError: there is no association.
    """
    prefetcher = _Prefetcher(criteria, studies, known, scu, learner)
    try:
        prefetcher.compare_few_small_studies()
        prefetcher.small_studies()
        prefetcher.series()
        prefetcher.series_of_days(days)
        prefetcher.compare_small_studies()
        for _ in range(_MOST_ROUNDS):
            if not prefetcher.objects():
                break
    except _AbortedListError:
        # An association that broke teaches nothing about lists; each study is requested alone this time.
        pass
    return prefetcher.prefetched


class _AbortedListError(DoseQRError):
    """A request with a list failed, for a reason that teaches nothing."""


class _Prefetcher:
    """The studies of one task."""

    def __init__(
        self,
        criteria: Criteria,
        studies: Sequence[StudyMatch],
        known: Mapping[str, KnownObjects],
        scu: FindScu,
        learner: Learner,
    ) -> None:
        self._criteria = criteria
        self._studies = {study.study_instance_uid: study for study in studies}
        self._known = known
        self._scu = scu
        self._learner = learner
        self.prefetched = PrefetchedMatches()

    # Small studies

    def small_studies(self) -> None:
        """Request the objects of small studies, where these are known to show their series as well."""
        if not self._learner.profile.whole_studies:
            return
        for uids in self._lists_of_small(uid for uid in self._studies if self._needs_of(uid).series):
            found = self._request_small(uids)
            if not found:
                return
            for uid, whole in found.items():
                self._add_whole(uid, whole.series, whole)

    def compare_few_small_studies(self) -> None:
        """Request series and objects of a few small studies: others may need no series."""
        if self._learner.profile.whole_studies is not None:
            return
        for uids in self._lists_of_small(uid for uid in self._studies if self._needs_of(uid).series)[:1]:
            if len(uids) > _FEW_STUDIES and self._request_series(uids[:_FEW_STUDIES], learns=False):
                self.compare_small_studies()

    def compare_small_studies(self) -> None:
        """Request the objects of small studies whose series are known, and learn whether they show those."""
        if self._learner.profile.whole_studies is not None:
            return
        for uids in self._lists_of_small(uid for uid in self._studies if self._needs_of(uid).images):
            found = self._request_small(uids)
            known = {uid: self.prefetched.series_of(uid) or () for uid in found}
            same = show_the_same(found, known, self._learner.profile)
            if same is not None:
                self._learn_whole_studies(value=same)
            if not same:
                return
            for uid, whole in found.items():
                self._add_whole(uid, known[uid], whole)

    def _lists_of_small(self, uids: Iterable[str]) -> list[list[str]]:
        """Divide the small ones of these studies into lists; none for nodes that take no such searches."""
        length = self._learner.profile.list_length("IMAGE")
        if not self._scu.takes_relational_searches or length < _SHORTEST:
            return []
        small = [study for uid in uids if is_small(study := self._studies[uid])]
        return [part for part in lists_of(small, length, _MOST_OBJECTS) if len(part) >= _SHORTEST]

    def _request_small(self, uids: Sequence[str]) -> Mapping[str, WholeStudy]:
        """Request the objects of studies; return those that came whole. That few did is learned."""
        result = self._scu.find_objects_of_studies(uids)
        usable = _usable(result)
        found = complete_studies((self._studies[uid] for uid in uids), result.matches) if usable else {}
        if len(found) <= len(uids) // 2 and (usable or may_be_the_keys(result)):
            self._learn_whole_studies(value=False)
        return found

    def _learn_whole_studies(self, *, value: bool) -> None:
        self._learner.learn(lambda profile: replace(profile, whole_studies=value))

    def _add_whole(self, uid: str, series: Sequence[SeriesMatch], whole: WholeStudy) -> None:
        self.prefetched.add_series(uid, series)
        for series_instance_uid, objects in whole.objects.items():
            self.prefetched.add_objects(uid, series_instance_uid, objects)

    # Series

    def series(self) -> None:
        """Request the series of the studies with lists of UIDs."""
        left = [uid for uid in self._studies if self._needs_of(uid).series]
        while len(left) >= _SHORTEST:
            length = self._learner.profile.list_length("SERIES")
            if length < _SHORTEST:
                return
            part, left = left[:length], left[length:]
            if not self._request_series(part):
                left = [uid for uid in part + left if self._lacks_series(uid)]
                if not self._shorten("SERIES", len(part)):
                    return

    def _lacks_series(self, uid: str) -> bool:
        return self.prefetched.series_of(uid) is None

    def _request_series(self, uids: Sequence[str], *, learns: bool = True) -> bool:
        """Request one list; return whether the node takes lists of this length, and learn that it does."""
        result = self._scu.find_series_of_studies(uids)
        if not _usable(result):
            return False
        found = _by_study(result.matches)
        if not found.keys() <= set(uids) or len(found) <= len(uids) // 2:
            return False
        self._add_series(found, len(result.matches))
        if learns:
            self._learn_list("SERIES")
        return True

    def series_of_days(self, days: Mapping[str, str]) -> None:
        """Request all series of the days on which there are several of the studies that are left."""
        of_day: dict[str, list[str]] = {}
        for uid, day in days.items():
            is_left = uid in self._studies and self._lacks_series(uid)
            if is_left and _DA.fullmatch(day) and self._needs_of(uid).series:
                of_day.setdefault(day, []).append(uid)
        for day, uids in of_day.items():
            if self._learner.profile.list_length("SERIES") >= _SHORTEST:
                return
            if self._learner.profile.relational is False:
                return
            if len(uids) >= _WORTH_A_DAY and not self._request_day(day, uids):
                return

    def _request_day(self, day: str, uids: Sequence[str]) -> bool:
        """Request the series of one day; return whether other days are worth a request."""
        result = self._scu.find_series_of_days(day)
        usable = _usable(result)
        found = _by_study(result.matches) if usable else {}
        wanted = {uid: found[uid] for uid in uids if uid in found}
        relational = usable and len(wanted) > len(uids) // 2
        self._learner.learn(lambda profile: replace(profile, relational=relational))
        if not relational:
            return False
        self._add_series(wanted, len(result.matches))
        return len(result.matches) <= _MOST_FOR_ONE * len(uids)

    def _add_series(self, found: Mapping[str, list[SeriesMatch]], matches: int) -> None:
        """Keep the series of studies; of a result that may be cut off, only those with a count."""
        doubtful = not self._learner.profile.believes_few(matches)
        for uid, series in found.items():
            if not doubtful or self._studies[uid].series_count is not None:
                self.prefetched.add_series(uid, series)

    # Objects

    def objects(self) -> bool:
        """Request the objects that the rules need now; return whether another round may help."""
        wanted = [
            (uid, series)
            for uid in self._studies
            if not self._lacks_series(uid)
            for series in sorted(self._needs_of(uid).images)
        ]
        requested = False
        for part in self._parts(wanted):
            length = self._learner.profile.list_length("IMAGE")
            if len(part) < _SHORTEST or length < _SHORTEST:
                continue
            if not self._request_objects(part) and not self._shorten("IMAGE", len(part)):
                return False
            requested = True
        return requested

    def _parts(self, wanted: Sequence[SeriesKey]) -> list[list[SeriesKey]]:
        """Divide series into lists by their number and by their objects."""
        parts: list[list[SeriesKey]] = [[]]
        objects = 0
        length = self._learner.profile.list_length("IMAGE")
        for key in wanted:
            size = self._size(key)
            if parts[-1] and (len(parts[-1]) >= length or objects + size > _MOST_OBJECTS):
                parts.append([])
                objects = 0
            parts[-1].append(key)
            objects += size
        return parts

    def _size(self, key: SeriesKey) -> int:
        study, series = key
        matches = self.prefetched.series_of(study) or ()
        counts = [match.instance_count for match in matches if match.series_instance_uid == series]
        return counts[0] if counts and counts[0] is not None else _ASSUMED_OBJECTS

    def _request_objects(self, keys: Sequence[SeriesKey]) -> bool:
        """Request the objects of these series; return whether the node takes lists of this length."""
        study_of = {series: study for study, series in keys}
        studies = list(dict.fromkeys(study_of.values()))
        result = self._scu.find_objects_of_series(studies, list(study_of))
        if not _usable(result):
            return False
        found: dict[str, list[ObjectMatch]] = {}
        for match in result.matches:
            found.setdefault(match.series_instance_uid or "", []).append(match)
        if not found.keys() <= study_of.keys() or len(found) <= len(keys) // 2:
            return False
        doubtful = not self._learner.profile.believes_few(len(result.matches))
        for series, matches in found.items():
            study = study_of[series]
            if not doubtful or len(matches) == self._size((study, series)):
                self.prefetched.add_objects(study, series, matches)
        self._learn_list("IMAGE")
        return True

    # Lessons

    def _learn_list(self, level: str) -> None:
        profile = self._learner.profile
        known = profile.series_list if level == "SERIES" else profile.image_list
        if known is None:
            longest = profile.list_length(level)
            self._learner.learn(lambda before: before.takes_lists(level, longest))

    def _shorten(self, level: str, refused: int) -> bool:
        """Learn that a list of this length is too long; return whether a shorter one is worth a try."""
        length = SHORT_LIST_LENGTH if refused > SHORT_LIST_LENGTH else 0
        self._learner.learn(lambda before: before.takes_lists(level, length))
        return length >= _SHORTEST

    def _needs_of(self, uid: str) -> Needs:
        series, objects = self.prefetched.series_of(uid), self.prefetched.objects_of(uid)
        known = self._known.get(uid, KnownObjects())
        verdict = decide(self._criteria, self._studies[uid], series, objects, known)
        return verdict if isinstance(verdict, Needs) else Needs()


def _by_study(matches: Sequence[SeriesMatch]) -> dict[str, list[SeriesMatch]]:
    found: dict[str, list[SeriesMatch]] = {}
    for match in matches:
        found.setdefault(match.study_instance_uid or "", []).append(match)
    return found


def _usable(
    result: FindResult[SeriesMatch] | FindResult[ObjectMatch] | FindResult[RelationalMatch],
) -> bool:
    """Return whether the result of a request with a list is complete.

    Raises:
        InterruptedWorkError: stopping was requested.
        _AbortedListError: the association broke.
    """
    if isinstance(result.error, InterruptedWorkError):
        raise result.error
    if result.error is not None and result.error.outcome is Outcome.ABORTED:
        raise _AbortedListError
    return result.error is None
