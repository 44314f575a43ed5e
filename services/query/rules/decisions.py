"""From what the rows keep to a decision with a reason for each study, series and object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from services.query.rules.cells import CellOutcome
from services.query.rules.filters import Filtered
from services.query.rules.model import (
    SR_CODE,
    Decision,
    KnownObjects,
    ObjectDecision,
    Objects,
    SeriesDecision,
    StudyDecision,
    distinct_objects,
)
from services.query.rules.reports import IDENTIFIED, Pick, ReportKind, Reports
from shared.contract.criteria import CODES
from shared.contract.reasons import Reason
from shared.dicom.query.matches import ObjectMatch, SeriesMatch, StudyMatch

#: Reasons from the most to the least informative.
_RANK: Mapping[Reason, int] = {reason: rank for rank, reason in enumerate(Reason)}
_STATION_REASONS = frozenset({Reason.EXCLUDED_STATION, Reason.NOT_IN_KEEP_STATION})


@dataclass(frozen=True, slots=True)
class Findings:
    """All that is known when a study is judged; `known` is empty where known objects are kept too."""

    outcomes: Mapping[str, CellOutcome]
    reports: Reports
    by_station: Mapping[str, Filtered]
    objects: Objects
    known: KnownObjects

    def picks(self, series_instance_uid: str) -> list[Pick]:
        """Return what the rows keep of a series, the most informative reason first."""
        picks = (pick for outcome in self.outcomes.values() for pick in outcome.picks)
        return sorted(
            (pick for pick in picks if pick.series_instance_uid == series_instance_uid),
            key=lambda pick: _RANK[pick.reason],
        )


def drop_study(
    study: StudyMatch, types: tuple[str, ...], filtered: Filtered, series: Iterable[SeriesMatch]
) -> StudyDecision:
    """Drop a study as a whole, for the reason of the filter."""
    reason = filtered.reason or Reason.NO_DOSE_OBJECT
    return StudyDecision(
        study_instance_uid=study.study_instance_uid,
        type=types[0] if types else None,
        decision=Decision.DROP,
        reason=reason,
        note=filtered.note,
        series=tuple(_drop_series(entry, reason) for entry in series),
    )


def judge_study(
    study: StudyMatch, filtered: Filtered, series: tuple[SeriesMatch, ...], findings: Findings
) -> StudyDecision:
    """Decide about a study from the decisions about its series."""
    decided = tuple(_judge_series(entry, findings) for entry in series)
    kept = [entry.reason for entry in decided if entry.decision is Decision.KEEP]
    return StudyDecision(
        study_instance_uid=study.study_instance_uid,
        type=next(iter(findings.outcomes)),
        decision=Decision.KEEP if kept else Decision.DROP,
        reason=_leading_reason(kept) if kept else _why_nothing(decided, findings),
        note=filtered.note,
        series=decided,
    )


def _why_nothing(decided: tuple[SeriesDecision, ...], findings: Findings) -> Reason:
    """Return why nothing is kept of a study that has a requested type."""
    reasons = {entry.reason for entry in decided} | {
        item.reason for entry in decided for item in entry.objects
    }
    for reason in (Reason.KNOWN, Reason.UNKNOWN_SR_OPTION_OFF):
        if reason in reasons:
            return reason
    codes = {SR_CODE} | {code for name in findings.outcomes for code in CODES[name]}
    wanted = {entry.reason for entry in decided if entry.modality in codes}
    return _leading_reason(wanted) if wanted and wanted <= _STATION_REASONS else Reason.NO_DOSE_OBJECT


def _judge_series(series: SeriesMatch, findings: Findings) -> SeriesDecision:
    uid = series.series_instance_uid
    station = findings.by_station[uid]
    picks = findings.picks(uid)
    if station.reason:
        return _drop_series(series, station.reason)
    if not picks and (series.code() != SR_CODE or not findings.objects.get(uid)):
        return _drop_series(series, _why_left(series, findings), station.note)
    if not findings.objects.get(uid):
        return _keep_unseen(series, picks[0], station.note, findings.known)
    return _judge_by_objects(series, picks, station.note, findings)


def _drop_series(series: SeriesMatch, reason: Reason, note: Reason | None = None) -> SeriesDecision:
    return SeriesDecision(
        series.series_instance_uid,
        series.code(),
        Decision.DROP,
        reason,
        note,
        whole=False,
        objects=(),
        instance_count=0,
    )


def _keep_unseen(series: SeriesMatch, pick: Pick, note: Reason | None, known: KnownObjects) -> SeriesDecision:
    """Keep a series whole whose objects nobody named; then nothing can be compared with the database."""
    if known.touches(series.series_instance_uid):
        note = Reason.KNOWN_NOT_COMPARABLE
    return SeriesDecision(
        series_instance_uid=series.series_instance_uid,
        modality=series.code(),
        decision=Decision.KEEP,
        reason=pick.reason,
        note=pick.note or note,
        whole=True,
        objects=(),
        instance_count=series.count(),
    )


def _judge_by_objects(
    series: SeriesMatch, picks: list[Pick], note: Reason | None, findings: Findings
) -> SeriesDecision:
    """Decide about each object of a series, and from them about the series."""
    distinct = distinct_objects(findings.objects[series.series_instance_uid])
    objects = tuple(_judge_object(series, match, picks, findings) for match in distinct)
    kept = [item.reason for item in objects if item.decision is Decision.KEEP]
    return SeriesDecision(
        series_instance_uid=series.series_instance_uid,
        modality=series.code(),
        decision=Decision.KEEP if kept else Decision.DROP,
        reason=_leading_reason(kept or [item.reason for item in objects]),
        note=next((pick.note for pick in picks if pick.note), note),
        whole=len(kept) == len(objects),
        objects=objects,
        instance_count=len(kept),
    )


def _judge_object(
    series: SeriesMatch, match: ObjectMatch, picks: list[Pick], findings: Findings
) -> ObjectDecision:
    uid = match.sop_instance_uid
    for pick in picks:
        if pick.sop_instance_uids is None or uid in pick.sop_instance_uids:
            if findings.known.has(uid):
                return ObjectDecision(uid, match.sop_class_uid, Decision.DROP, Reason.KNOWN)
            return ObjectDecision(uid, match.sop_class_uid, Decision.KEEP, pick.reason)
    reason = Reason.NOT_THE_FIRST_IMAGE
    if series.code() == SR_CODE:
        kind = findings.reports.kind(series.series_instance_uid, uid)
        reason = _why_left_report(kind, findings.reports.kinds())
    return ObjectDecision(uid, match.sop_class_uid, Decision.DROP, reason)


def _why_left(series: SeriesMatch, findings: Findings) -> Reason:
    """Return why a series is dropped of which no row keeps anything and of which no object was decided."""
    code = series.code()
    if code is None:
        return Reason.MODALITY_NOT_RETURNED
    if code == SR_CODE:
        return _why_left_report(ReportKind.UNKNOWN, findings.reports.kinds())
    name = next((name for name, codes in CODES.items() if code in codes), None)
    if name is None:
        return Reason.NOT_A_DOSE_SERIES
    outcome = findings.outcomes.get(name)
    if outcome is None:
        return Reason.NOT_REQUESTED_TYPE
    return outcome.drops.get(series.series_instance_uid, outcome.left)


def _why_left_report(kind: ReportKind, kinds: frozenset[ReportKind]) -> Reason:
    """Return why a report is dropped, given the kinds of all reports of the study."""
    if kind is ReportKind.UNKNOWN:
        outranked = not kinds.isdisjoint(IDENTIFIED)
        return Reason.SUPERSEDED_BY_REPORT if outranked else Reason.UNKNOWN_SR_OPTION_OFF
    if kind is ReportKind.ESR:
        outranked = not kinds.isdisjoint({ReportKind.RDSR, ReportKind.RRDSR})
        return Reason.SUPERSEDED_BY_REPORT if outranked else Reason.ESR_NOT_ENOUGH
    return {
        ReportKind.PATIENT_DOSE: Reason.PATIENT_DOSE_REPORT,
        ReportKind.OTHER: Reason.TEXT_REPORT,
    }.get(kind, Reason.REPORT_OF_OTHER_TYPE)


def _leading_reason(reasons: Iterable[Reason]) -> Reason:
    return min(reasons, key=_RANK.__getitem__)
