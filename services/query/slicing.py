"""Work on one slice: one C-FIND at STUDY level, and what follows from its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydicom.dataset import Dataset
from sqlalchemy.orm import Session

from services.query.asker import Asker
from services.query.ledger import add_counts, add_studies, save_decision
from services.query.payloads import SLICE, examine_tasks, slice_of, slice_payload
from services.query.rules import KnownObjects, StudyDecision, decide
from services.query.slices import Slice, halve
from shared.contract.criteria import Criteria
from shared.dicom.answers import StudyMatch
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.find import FindResult
from shared.dicom.keys import study_identifier
from shared.dicom.status import OUT_OF_RESOURCES
from shared.jobs.model import Claim, NewTask, Result

#: "Unable to calculate the number of matches" is answered by some PACS to what is too much for them.
_TOO_MUCH = frozenset({OUT_OF_RESOURCES, 0xA701})


Tell = Callable[[str, Sequence[StudyDecision]], None]


@dataclass(frozen=True, slots=True)
class QueryFacts:
    """What the work on a query's tasks needs to know of it."""

    criteria: Criteria
    today: date


def perform_slice(asker: Asker, claim: Claim, facts: QueryFacts, tell: Tell) -> Result:
    """Ask for one slice; a slice that is too much for the PACS is cut in two.

    `tell` gets the job's id and the studies that the study level was enough to decide.

    Raises:
        PeerError: the answer is not complete, and cutting would not help.
        InterruptedWorkError: stopping was asked for.
    """
    result = asker.studies(_identifier(claim.payload, facts.criteria), claim.payload)
    if result.error is None:
        decided: list[StudyDecision] = []
        return Result(
            write=lambda session: _found(session, claim, facts, result, decided),
            after=lambda: tell(claim.job_id, decided),
        )
    halves = _halves(claim, facts, result.error)
    if halves is None:
        raise result.error
    code = result.error.code if isinstance(result.error, PeerError) else ""
    return Result(write=lambda session: _cut(session, claim, halves), state="cut", detail=code)


def _identifier(payload: dict[str, Any], criteria: Criteria) -> Dataset:
    if "study_instance_uid" in payload:
        return study_identifier(
            study_instance_uids=[payload["study_instance_uid"]],
            with_station_name=criteria.station_at_study_level,
        )
    if "accession_number" in payload:
        return study_identifier(
            accession_number=payload["accession_number"],
            with_station_name=criteria.station_at_study_level,
        )
    part = slice_of(payload)
    return study_identifier(
        study_date=part.study_date_key(),
        study_time=part.study_time_key(),
        modalities_in_study=[part.code] if part.code else [],
        with_station_name=criteria.station_at_study_level,
    )


def _halves(claim: Claim, facts: QueryFacts, error: Exception) -> tuple[Slice, Slice] | None:
    """Return the parts to ask for instead, if the slice seems to be too much for the PACS."""
    if not isinstance(error, PeerError) or "code" not in claim.payload:
        return None
    too_slow = error.outcome is Outcome.TIMED_OUT and not error.associating and claim.failures > 0
    if error.status_code not in _TOO_MUCH and not too_slow:
        return None
    return halve(slice_of(claim.payload), facts.today)


def _cut(session: Session, claim: Claim, halves: tuple[Slice, Slice]) -> Sequence[NewTask]:
    add_counts(session, claim.job_id, slices_total=1)
    extra = {"parent_id": claim.task_id}
    return [NewTask(SLICE, slice_payload(part), extra) for part in halves]


def _found(
    session: Session,
    claim: Claim,
    facts: QueryFacts,
    result: FindResult[StudyMatch],
    decided: list[StudyDecision],
) -> Sequence[NewTask]:
    add_counts(session, claim.job_id, slices_complete=1)
    matches = [match for match in result.matches if _asked_for(match, claim.payload)]
    to_examine = []
    for answer in add_studies(session, claim.job_id, claim.task_id, matches):
        decision = decide(facts.criteria, answer, None, {}, KnownObjects())
        if isinstance(decision, StudyDecision):
            save_decision(session, claim.job_id, None, decision)
            decided.append(decision)
        else:
            to_examine.append(answer.study_instance_uid)
    return examine_tasks(to_examine)


def _asked_for(match: StudyMatch, payload: dict[str, Any]) -> bool:
    """Match again on our side: some PACS ignore keys. What was not returned cannot be compared."""
    if "study_instance_uid" in payload:
        return match.study_instance_uid == str(payload["study_instance_uid"])
    if "accession_number" in payload:
        return match.accession_number in (None, payload["accession_number"])
    part = slice_of(payload)
    day = _study_day(match.study_date)
    if day is None:
        return True
    return (part.date_from or day) <= day <= (part.date_until or day)


def _study_day(text: str | None) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if text and len(text) >= 8 else None  # noqa: PLR2004 - yyyymmdd
    except ValueError:
        return None
