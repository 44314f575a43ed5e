"""When a study is missing: the PACS returns fewer series or objects than it announces, or fails. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from services.query.rules.modality import is_of_standard_class
from services.query.rules.model import (
    SR_CODE,
    Decision,
    Missing,
    Objects,
    StudyDecision,
    distinct_series,
)
from shared.contract.criteria import CODES
from shared.contract.reasons import Reason, sentence
from shared.dicom.errors import PeerError
from shared.dicom.query.matches import SeriesMatch, StudyMatch


def failed_study(study_instance_uid: str, error: PeerError) -> Missing:
    """Return that a study is missing because the PACS failed to return all of it."""
    return Missing(study_instance_uid, Reason.STUDY_NOT_ANSWERED, str(error))


def cut_off(study: StudyMatch, matches: int, of_what: str) -> Missing:
    """Return that a study is missing, of which a node returned as many matches as those at which it stops."""
    detail = f"The PACS stops at {matches} matches, and returned {matches} {of_what} without their number."
    return Missing(study.study_instance_uid, Reason.STUDY_NOT_ANSWERED, detail)


def lacking_series(study: StudyMatch, series: Collection[SeriesMatch]) -> Missing | None:
    """Return that a study is missing, if it has fewer series than it announces."""
    short = series_shortfall(study, series)
    if not short:
        return None
    announced = max(study.series_count or 0, 1)
    detail = f"The PACS announces {announced} series and returned {announced - short}."
    return Missing(study.study_instance_uid, Reason.FEWER_SERIES_THAN_ANNOUNCED, detail)


def lacking_objects(study: StudyMatch, series: Sequence[SeriesMatch], objects: Objects) -> Missing | None:
    """Return that a study is missing, if one of these series has fewer objects than it announces."""
    for short in object_shortfalls(series, objects):
        if not short.unknown:
            detail = f"A series announces {short.announced} objects and {short.returned_count} came."
            return Missing(study.study_instance_uid, Reason.FEWER_OBJECTS_THAN_ANNOUNCED, detail)
    return None


def lacks_its_report(study: StudyMatch, decision: StudyDecision) -> bool:
    """Return whether a study was dropped as one without dose although it says that it has an SR.

    Neither its series nor their objects show one: the PACS returned less than there is.
    """
    dropped = decision.decision is Decision.DROP and decision.reason is Reason.NO_DOSE_OBJECT
    has_one = any(entry.modality == SR_CODE for entry in decision.series)
    return dropped and SR_CODE in study.codes() and not has_one


def shows_no_modality(decision: StudyDecision, objects: Objects) -> bool:
    """Return whether a study was dropped as one without dose because nothing shows which series are which.

    The PACS returns neither Modality of a series nor SOP Class UID of its objects.
    """
    dropped = decision.decision is Decision.DROP and decision.reason is Reason.NO_DOSE_OBJECT
    if not dropped or any(entry.modality in CODES[decision.type or ""] for entry in decision.series):
        return False
    unnamed = (entry.series_instance_uid for entry in decision.series if entry.modality is None)
    return any(not any(map(is_of_standard_class, objects.get(uid, ()))) for uid in unnamed)


def modality_not_shown(study: StudyMatch) -> Missing:
    """Return that a study is missing because nothing shows which of its series are of a requested type."""
    detail = (
        "The PACS returns neither Modality (0008,0060) of its series nor SOP Class UID (0008,0016) of their"
        " objects: which of them hold the dose is not known."
    )
    return Missing(study.study_instance_uid, Reason.STUDY_NOT_ANSWERED, detail)


def report_not_returned(study: StudyMatch) -> Missing:
    """Return that a study is missing whose report the PACS did not return."""
    reason = Reason.REPORT_NOT_RETURNED
    return Missing(study.study_instance_uid, reason, sentence(reason))


@dataclass(frozen=True, slots=True)
class ObjectShortfall:
    """A series with fewer matches than it announces objects."""

    series_instance_uid: str
    announced: int
    returned_count: int
    #: An SR series, or one that may be, without a match: if it stays so it is not missing, but "unknown".
    unknown: bool


def series_shortfall(study: StudyMatch, series: Collection[SeriesMatch]) -> int:
    """Return how many series the study announces beyond those returned; a study has at least one."""
    return max(0, max(study.series_count or 0, 1) - len({entry.series_instance_uid for entry in series}))


def object_shortfalls(series: Iterable[SeriesMatch], objects: Objects) -> tuple[ObjectShortfall, ...]:
    """Return the series whose objects were requested and are fewer than they announce.

    All of them are worth a second request. What is then still short is missing, except where `unknown`.
    """
    found = []
    for distinct_entry in distinct_series(series):
        announced, uid = distinct_entry.count(), distinct_entry.series_instance_uid
        if announced is None or uid not in objects:
            continue
        returned_count = len({match.sop_instance_uid for match in objects[uid]})
        if returned_count < announced:
            found.append(
                ObjectShortfall(
                    uid,
                    announced,
                    returned_count,
                    distinct_entry.code() in (SR_CODE, None) and not returned_count,
                )
            )
    return tuple(found)
