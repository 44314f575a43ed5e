"""The requests that show what a node can do, and what follows from its responses. Pure.

The plan is a generator: it yields requests, is sent responses, and passes on what it learned. Each part
compares matches with those that the sample, some studies of the newest days, lets expect; what the sample
does not show stays as it was known.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from services.query.profile.sample import MeasurementRequest, Plan, Sample, sample_of
from shared.contract.criteria import CODES
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch
from shared.querying.profile import LIST_LENGTH, SHORT_LIST_LENGTH, Profile

#: A code that no archive has: a node that returns studies for it does not match on codes.
NO_CODE = "ZZ"
#: All codes that queries request.
DOSE_CODES = tuple(code for codes in CODES.values() for code in codes)
#: Codes that are tried where the node does not return which ones its studies have.
_TRIED_CODES = ("CT", "DX", "MG")

#: Lengths of lists that are tried: the usual one, a longer one if it was taken, a shorter one if not.
_LONG_LIST = 200
#: Objects that one list should bring at most, and those of a series whose number is not returned.
_OBJECTS_AT_ONCE, _GUESSED_OBJECTS = 300, 20
#: After so many matches without an attribute it counts as not returned.
_FEW = 3
#: The series of a day with more studies are not requested together.
_RELATIONAL_STUDIES = 60


Learn = Callable[[Callable[[Profile], Profile]], None]


@dataclass(slots=True)
class MeasurementPlan:
    """The measurement of one node; `learn` is called with each thing as soon as it is known."""

    today: date
    learn: Learn
    series: list[SeriesMatch] = field(default_factory=list)

    def plan(self) -> Plan[None]:
        """Measure everything, in the order in which one result builds upon another."""
        sample = yield from sample_of(self.today)
        if sample is None:
            return
        self._sampled(sample)
        if (yield from self._matches_codes(sample)):
            yield from self._takes_code_lists(sample)
        yield from self._takes_study_lists(sample)
        yield from self._measure_series(sample)
        yield from self._measure_objects()
        yield from self._measure_relational(sample)

    # Studies

    def _sampled(self, sample: Sample) -> None:
        studies = sample.studies
        self._returned("modalities_returned", [study.modalities for study in studies])
        self._returned("returns_study_descriptions", [study.description for study in studies])
        self._returned("returns_series_counts", [study.series_count for study in studies])
        self._is(study_modality_key=sample.with_modality)
        self.learn(lambda known: known.matched(sample.widest_days, _busiest(sample)))
        if sample.cap is not None:
            cap = sample.cap
            self.learn(lambda known: known.capped(cap))
        elif sample.proven:
            proven = sample.proven
            self.learn(lambda known: known.proved(proven))

    def _matches_codes(self, sample: Sample) -> Plan[bool]:
        """Find out whether studies are matched by their codes."""
        for code in _distinguishing_codes(sample):
            response = yield sample.request(codes=(code,))
            if not response.complete:
                self._is(modalities_matched=False)
                return False
            found, all_of_them = _uids(response.matches), sample.uids
            if found >= all_of_them:
                # Either all of them have this code, or the key is ignored.
                bogus = yield sample.request(codes=(NO_CODE,))
                matched = bogus.complete and not bogus.matches
                self._is(modalities_matched=matched)
                return matched
            if found:
                self._is(modalities_matched=True)
                return True
            if sample.with_code((code,)):
                self._is(modalities_matched=False)
                return False
        return False

    def _takes_code_lists(self, sample: Sample) -> Plan[None]:
        """Find out whether a list of codes means any of them; proven only where it leaves some study out."""
        present = [code for code in DOSE_CODES if sample.with_code((code,))]
        codes = _distinguishing_list(sample, present)
        if codes is None:
            return
        response = yield sample.request(codes=codes)
        if response.complete and _uids(response.matches) == sample.with_code(codes):
            self._is(code_list=len(DOSE_CODES))
        else:
            self._is(code_list=0)

    def _takes_study_lists(self, sample: Sample) -> Plan[None]:
        def find_list(uids: Sequence[str]) -> Plan[bool]:
            response = yield MeasurementRequest("STUDY", studies=tuple(uids), most=len(uids) + 20)
            return response.complete and _uids(response.matches) == set(uids)

        yield from self._lists("STUDY", sorted(sample.uids), find_list)

    # Series

    def _measure_series(self, sample: Sample) -> Plan[None]:
        small = sorted(sample.studies, key=lambda study: (study.series_count or 0, study.study_instance_uid))
        uids = [study.study_instance_uid for study in small[:LIST_LENGTH]]
        alone = yield MeasurementRequest("SERIES", studies=(uids[0],))
        if not alone.complete or not alone.matches:
            return
        self.series = [replace(match, study_instance_uid=uids[0]) for match in alone.matches]

        def find_list(part: Sequence[str]) -> Plan[bool]:
            response = yield MeasurementRequest("SERIES", studies=tuple(part), most=len(part) * 20 + 100)
            taken = response.complete and {match.study_instance_uid for match in response.matches} == set(
                part
            )
            if taken:
                self.series = list(response.matches)
            return taken

        yield from self._lists("SERIES", uids, find_list)
        self._returned("returns_series_descriptions", [entry.description for entry in self.series])
        self._returned("returns_station_names", [entry.station_name for entry in self.series])
        self._returned("returns_instance_counts", [entry.instance_count for entry in self.series])
        self._trusts_counts(small)

    def _trusts_counts(self, studies: Sequence[StudyMatch]) -> None:
        """Compare the numbers of series that were announced with those that were returned."""
        compared_uids = {entry.study_instance_uid for entry in self.series}
        announced = {study.study_instance_uid: study.series_count for study in studies}
        compared = [
            announced[uid]
            == len({entry.series_instance_uid for entry in self.series if entry.study_instance_uid == uid})
            for uid in compared_uids
            if uid is not None and announced.get(uid) is not None
        ]
        if compared:
            self._is(counts_trusted=all(compared))

    # Objects

    def _measure_objects(self) -> Plan[None]:
        chosen = _small_series(self.series)
        if not chosen:
            return
        first = chosen[0]
        alone = yield MeasurementRequest(
            "IMAGE", studies=(first.study_instance_uid or "",), series=(first.series_instance_uid,)
        )
        if not alone.complete or not alone.matches:
            return
        objects: list[ObjectMatch] = list(alone.matches)
        if first.instance_count is not None and first.instance_count != len(objects):
            self._is(counts_trusted=False)
        study_of = {entry.series_instance_uid: entry.study_instance_uid or "" for entry in chosen}

        def find_list(part: Sequence[str]) -> Plan[bool]:
            studies = tuple(dict.fromkeys(study_of[uid] for uid in part))
            response = yield MeasurementRequest(
                "IMAGE", studies=studies, series=tuple(part), most=2 * _OBJECTS_AT_ONCE
            )
            objects.extend(response.matches)
            return response.complete and {match.series_instance_uid for match in response.matches} == set(
                part
            )

        yield from self._lists("IMAGE", list(study_of), find_list)
        self._returned("returns_sop_classes", [entry.sop_class_uid for entry in objects])

    def _measure_relational(self, sample: Sample) -> Plan[None]:
        """Find out whether the series of a whole day are returned without naming its studies."""
        chosen = sample.quiet_day()
        if chosen is None or len(chosen[1]) > _RELATIONAL_STUDIES:
            return
        day, uids = chosen
        response = yield MeasurementRequest(
            "SERIES", first=day, last=day, relational=True, most=len(uids) * 50 + 200
        )
        found = {match.study_instance_uid for match in response.matches}
        self._is(relational=response.complete and found == uids)

    # What was learned

    def _lists(
        self, level: str, uids: Sequence[str], find_list: Callable[[Sequence[str]], Plan[bool]]
    ) -> Plan[None]:
        """Find out how many UIDs a list may hold, bounded by what there is to request."""
        if len(uids) < 2:  # noqa: PLR2004 - one is no list
            return
        taken = yield from find_list(uids[:LIST_LENGTH])
        if taken:
            length = LIST_LENGTH
            if len(uids) >= _LONG_LIST and (yield from find_list(uids[:_LONG_LIST])):
                length = _LONG_LIST
        else:
            shorter = uids[: min(SHORT_LIST_LENGTH, len(uids) // 2)]
            length = len(shorter) if len(shorter) > 1 and (yield from find_list(shorter)) else 0
        self.learn(lambda known: known.takes_lists(level, length))

    def _returned(self, name: str, values: Sequence[object]) -> None:
        returned = any(value is not None for value in values)
        if returned or len(values) >= _FEW:
            self._is(**{name: returned})

    def _is(self, **values: Any) -> None:
        self.learn(lambda known: replace(known, **values))


def _uids(matches: Sequence[StudyMatch | SeriesMatch | ObjectMatch]) -> set[str]:
    return {str(match.study_instance_uid) for match in matches}


def _busiest(sample: Sample) -> int:
    """Return the most studies of one code; of all, where codes are not returned."""
    codes = {code for study in sample.studies for code in study.modalities or ()}
    counts = [len(sample.with_code((code,))) for code in codes]
    return max(counts, default=len(sample.studies))


def _distinguishing_codes(sample: Sample) -> Sequence[str]:
    """Return the codes to request: one that some studies have and others do not, if there is one."""
    codes = sorted({code for study in sample.studies for code in study.modalities or ()})
    if not codes:
        return _TRIED_CODES
    partly = [code for code in codes if len(sample.with_code((code,))) < len(sample.uids)]
    return (partly or codes)[:1]


def _distinguishing_list(sample: Sample, present: Sequence[str]) -> tuple[str, ...] | None:
    """Return as many codes as leave some study out and need more than one code to find the others."""
    for left_out in (None, *present):
        codes = tuple(code for code in DOSE_CODES if code != left_out)
        expected = sample.with_code(codes)
        one_is_enough = any(sample.with_code((code,)) == expected for code in present)
        if expected and expected != sample.uids and not one_is_enough:
            return codes
    return None


def _small_series(series: Collection[SeriesMatch]) -> list[SeriesMatch]:
    """Return series whose objects are few enough to be requested together, reports first."""
    known = [entry for entry in series if entry.study_instance_uid is not None]
    known.sort(key=lambda series: (series.modality != "SR", _size(series), series.series_instance_uid))
    chosen: list[SeriesMatch] = []
    objects = 0
    for entry in known[:LIST_LENGTH]:
        objects += _size(entry)
        if chosen and objects > _OBJECTS_AT_ONCE:
            break
        chosen.append(entry)
    return chosen


def _size(series: SeriesMatch) -> int:
    return _GUESSED_OBJECTS if series.instance_count is None else series.instance_count
