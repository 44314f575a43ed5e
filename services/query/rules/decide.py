"""The decision table: from the matches of a study to what is kept of it. Pure, and versioned.

`decide` needs no more than it must: it returns which matches it lacks, is called again with them, and ends.
How sentences of the rules are read where they leave a choice stands in docs/decisions/0003-decision-rules.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from services.query.rules.cells import (
    Case,
    Cell,
    CellOutcome,
    ct_without_report,
    nm_without_report,
    nothing,
    own_images,
    reports,
    rrdsr_and_pet,
    unknown_and_pet,
    unknown_series,
)
from services.query.rules.decisions import Findings, drop_study, judge_study
from services.query.rules.filters import Filtered, filter_series, filter_study
from services.query.rules.modality import may_hide_a_report, with_modalities
from services.query.rules.model import (
    SR_CODE,
    KnownObjects,
    Needs,
    Objects,
    StudyDecision,
    distinct_series,
)
from services.query.rules.reports import IDENTIFIED, ReportKind, Reports, read_reports
from shared.contract.criteria import CODES, Criteria
from shared.contract.reasons import Reason
from shared.dicom.query.matches import SeriesMatch, StudyMatch

#: Stored with each query; changes whenever the same matches would lead to another decision.
RULES_VERSION = 4


class Column(Enum):
    """What reports a study has, as columns of the table."""

    REPORT = "with RDSR"
    ESR = "only ESR"
    UNKNOWN = "only unknown, option on"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True)
class TableRow:
    """What is kept of a study of one type; `own` are the dose reports that are this type's."""

    own: frozenset[ReportKind]
    report: Cell
    esr: Cell
    unknown: Cell
    neither: Cell

    def cell(self, column: Column) -> Cell:
        """Return the cell below a column."""
        return {
            Column.REPORT: self.report,
            Column.ESR: self.esr,
            Column.UNKNOWN: self.unknown,
            Column.NEITHER: self.neither,
        }[column]


_RDSR = frozenset({ReportKind.RDSR})
_RRDSR = frozenset({ReportKind.RRDSR})

_rdsr = reports(ReportKind.RDSR)
_both = reports(ReportKind.RDSR, ReportKind.RRDSR)
_esr = reports(ReportKind.ESR)

# fmt: off
TABLE: Mapping[str, TableRow] = {
    #                           with RDSR      only ESR           only unknown    neither
    "MG": TableRow(_RDSR,            _rdsr,         own_images,        unknown_series, own_images),
    "DX": TableRow(_RDSR,            _rdsr,         own_images,        unknown_series, own_images),
    "FL": TableRow(_RDSR,            _rdsr,         _esr,              unknown_series, nothing),
    "CT": TableRow(_RDSR,            _rdsr,         _esr,              unknown_series, ct_without_report),
    "NM": TableRow(_RRDSR,           rrdsr_and_pet, nm_without_report, unknown_and_pet, nm_without_report),
    "SR": TableRow(_RDSR | _RRDSR,   _both,         _esr,              unknown_series, nothing),
}
# fmt: on

#: A report cannot be attributed in a study that has more than one of these ...
ATTRIBUTED_TYPES = ("MG", "DX", "FL", "CT")
#: ... and the images of these are then kept beside it.
IMAGES_BESIDE_REPORT_TYPES = frozenset({"MG", "DX"})


def decide(
    criteria: Criteria,
    study: StudyMatch,
    series: Sequence[SeriesMatch] | None,
    objects: Objects,
    known: KnownObjects,
) -> StudyDecision | Needs:
    """Decide about a study, or return what to request first.

    `series` is None as long as the SERIES level was not searched; `objects` has an entry, even an empty one,
    for each series that was searched at IMAGE level. Matches that fall short of what the PACS announces
    (`series_shortfall`, `object_shortfalls`) are not for this function: such a study is missing, not judged.
    """
    entries = () if series is None else with_modalities(study, distinct_series(series), objects)
    codes = study.codes() | {code for entry in entries if (code := entry.code())}
    types, filtered = _types(criteria, codes), filter_study(criteria, study)
    if not filtered.reason and (unlabelled := _without_modality(criteria, study, entries, objects)):
        return Needs(images=unlabelled)
    all_codes = series is not None or study.codes_are_known()
    reason = filtered.reason or (_not_wanted(criteria, codes, types) if all_codes else None)
    if reason:
        return drop_study(study, types, replace(filtered, reason=reason), entries)
    if series is None:
        return Needs(series=True)
    return _examine(criteria, study, (types, codes, filtered), entries, objects, known)


def _without_modality(
    criteria: Criteria, study: StudyMatch, series: tuple[SeriesMatch, ...], objects: Objects
) -> frozenset[str]:
    """Return the series whose modality only their objects can show: any of them may be a dose report."""
    unlabelled = [entry for entry in series if entry.code() is None]
    return _unexamined(
        (
            entry.series_instance_uid
            for entry in (*unlabelled, *may_hide_a_report(study, series))
            if not filter_series(criteria, entry).reason
        ),
        objects,
    )


def _types(criteria: Criteria, codes: frozenset[str]) -> tuple[str, ...]:
    """Return the requested types that a study of these codes has; SR only where it has nothing else."""
    return tuple(
        name
        for name in criteria.requested_types()
        if (codes == {SR_CODE} if name == "SR" else not codes.isdisjoint(CODES[name]))
    )


def _not_wanted(criteria: Criteria, codes: frozenset[str], types: tuple[str, ...]) -> Reason | None:
    if types:
        return None
    if not codes:
        return Reason.MODALITY_NOT_RETURNED
    sr_beside_others = criteria.include_sr_only and SR_CODE in codes
    return Reason.NOT_SR_ONLY if sr_beside_others else Reason.NOT_REQUESTED_TYPE


def _examine(
    criteria: Criteria,
    study: StudyMatch,
    before_series: tuple[tuple[str, ...], frozenset[str], Filtered],
    series: tuple[SeriesMatch, ...],
    objects: Objects,
    known: KnownObjects,
) -> StudyDecision | Needs:
    """Decide about a study that has a requested type, from its series."""
    types, codes, filtered = before_series
    by_station = {entry.series_instance_uid: filter_series(criteria, entry) for entry in series}
    counted = tuple(entry for entry in series if not by_station[entry.series_instance_uid].reason)
    sr_series = [entry for entry in counted if entry.code() == SR_CODE]
    needs = _unexamined((sr_entry.series_instance_uid for sr_entry in sr_series), objects)
    if needs:
        return Needs(images=needs)
    found = read_reports(sr_series, objects)
    outcomes = {
        name: _apply_row(Case(name, counted, objects, found, criteria.toshiba), codes, criteria.empty_sr)
        for name in types
    }
    if "NM" in types and "CT" in criteria.requested_types():
        # In a PET-CT or SPECT-CT the X-ray report is that of the CT, wherever its images lie.
        outcomes["NM"] = replace(outcomes["NM"], picks=outcomes["NM"].picks + found.pick(_RDSR))
    needs = frozenset(uid for outcome in outcomes.values() for uid in outcome.needs)
    if criteria.ignore_known:
        needs |= _unexamined(_whole_and_partly_known(outcomes.values(), known), objects)
    if needs:
        return Needs(images=needs)
    known_now = known if criteria.ignore_known else KnownObjects()
    return judge_study(study, filtered, series, Findings(outcomes, found, by_station, objects, known_now))


def _apply_row(case: Case, codes: frozenset[str], empty_sr: bool) -> CellOutcome:
    """Keep what the row of the case's type holds, and images beside a report that cannot be attributed."""
    row = TABLE[case.type]
    column = _column(case.type, row, case.reports, empty_sr)
    outcome = row.cell(column)(case)
    shared = sum(not codes.isdisjoint(CODES[name]) for name in ATTRIBUTED_TYPES) > 1
    if shared and case.type in IMAGES_BESIDE_REPORT_TYPES and column in {Column.REPORT, Column.UNKNOWN}:
        images = own_images(case, Reason.IMAGES_BESIDE_REPORT)
        outcome = replace(outcome, picks=outcome.picks + images.picks)
    return outcome


def _column(name: str, row: TableRow, found: Reports, empty_sr: bool) -> Column:
    kinds = found.kinds()
    if kinds & row.own:
        return Column.REPORT
    if ReportKind.ESR in kinds:
        return Column.ESR
    outranked = name == "NM" and not kinds.isdisjoint(IDENTIFIED)
    if ReportKind.UNKNOWN in kinds and empty_sr and not outranked:
        return Column.UNKNOWN
    return Column.NEITHER


def _whole_and_partly_known(outcomes: Iterable[CellOutcome], known: KnownObjects) -> Iterable[str]:
    """Return the series to keep whole of which the database has something: their objects are compared."""
    return (
        pick.series_instance_uid
        for outcome in outcomes
        for pick in outcome.picks
        if pick.sop_instance_uids is None and known.touches(pick.series_instance_uid)
    )


def _unexamined(series_instance_uids: Iterable[str], objects: Objects) -> frozenset[str]:
    return frozenset(uid for uid in series_instance_uids if uid not in objects)
