"""Studies without a time of day: no part of a day names them, so a day cut by time may hide some.

They are found where the whole day is answered in full. Where it is not, and the day did name such studies,
nobody can say that these are all: the day stands as missing beside its parts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.orm import Session

from services.query.ledger import add_counts
from shared.database.models import QueryTask
from shared.dicom.answers import StudyMatch
from shared.dicom.errors import Outcome, PeerError
from shared.jobs.model import Claim
from shared.querying.payloads import SLICE, slice_of, slice_payload
from shared.querying.slices import Slice

#: In the payload of a part of a day: the whole day named studies without a time.
UNTIMED = "untimed"


def are_hidden_by(part: Slice, pieces: Sequence[Slice], matches: Sequence[StudyMatch]) -> bool:
    """Tell whether a window is cut by time of day although it named studies that have none.

    A PACS that returns no times at all says nothing about that.
    """
    by_time = part.days == 1 and part.time_from is None and any(piece.time_from for piece in pieces)
    without = sum(match.study_time is None for match in matches)
    return by_time and 0 < without < len(matches)


def miss_the_rest_of_the_day(session: Session, claim: Claim) -> None:
    """Write that the studies without a time of the claim's day may not all be known."""
    error = PeerError(
        Outcome.CAPPED,
        "studies without a time cannot be asked for in parts of a day, and this day is too much at once",
    )
    part = slice_of(claim.payload)
    task = session.get_one(QueryTask, claim.task_id)
    payload = slice_payload(replace(part, time_from=None, time_until=None)) | {UNTIMED: True}
    session.add(
        QueryTask(
            job_id=claim.job_id,
            kind=SLICE,
            payload=payload,
            state="failed",
            created_at=task.created_at,
            due_at=task.due_at,
            error=error.code,
            detail=str(error),
        )
    )
    add_counts(session, claim.job_id, slices_total=1, slices_failed=1)
