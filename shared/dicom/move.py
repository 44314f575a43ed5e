"""C-MOVE (PS3.4 C.4.2): one request, its live counters, and the final status, never taken for granted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Literal

from pydicom.dataset import Dataset

from shared.dicom.asking_link import PENDING
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, PeerError
from shared.dicom.link import Link
from shared.dicom.move_link import MoveLink
from shared.dicom.pace import Pace
from shared.dicom.sub_operations import MoveAnswer, MoveResult, SubOperations, error_of

MoveLevel = Literal["SERIES", "IMAGE"]


def move_identifier(
    level: MoveLevel,
    study_instance_uids: Sequence[str],
    series_instance_uids: Sequence[str],
    sop_instance_uids: Sequence[str] = (),
) -> Dataset:
    """Return the identifier of a C-MOVE: unique keys only (PS3.4 C.4.2.1.4)."""
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    ds.StudyInstanceUID = list(study_instance_uids)
    ds.SeriesInstanceUID = list(series_instance_uids)
    if level == "IMAGE":
        ds.SOPInstanceUID = list(sop_instance_uids)
    return ds


def move(
    link: Link,
    identifier: Dataset,
    move_destination: str,
    on_progress: Callable[[SubOperations], None] | None = None,
    cancellation: Cancellation | None = None,
) -> MoveResult:
    """Send one C-MOVE and wait for its end; what went wrong stands in the result.

    `on_progress` is called with the counters of each pending answer. The association is aborted if no final
    answer came, so that no late answer meets the next request.

    Raises:
        NotNowError: the node's limits do not allow a request now.
        InterruptedWorkError: stopping was asked for while it was waited until they do.
    """
    if not isinstance(link, MoveLink):
        raise TypeError(f"a C-MOVE needs an association for it, not {type(link).__name__}")
    result = MoveResult()
    link.admit()
    began, pace = time.monotonic(), Pace()
    try:
        for answer in link.answers(identifier, move_destination, cancellation):
            if answer.status_code not in PENDING:
                _end(result, answer, cancellation)
                continue
            if on_progress is not None:
                on_progress(answer.sub_operations)
            if pace.has_stalled(answer.sub_operations):
                result.error = pace.error
                break
    except (PeerError, InterruptedWorkError) as error:
        result.error = error
    result.duration_ms = round((time.monotonic() - began) * 1000)
    if result.status_code is None:
        link.abort()
    return result


def _end(result: MoveResult, answer: MoveAnswer, cancellation: Cancellation | None) -> None:
    result.status_code = answer.status_code
    result.sub_operations = answer.sub_operations
    result.failed_sop_instance_uids = answer.failed_sop_instance_uids
    result.error = error_of(answer.status_code, cancellation)
