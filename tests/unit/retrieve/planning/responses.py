"""Final responses to C-MOVEs for tests."""

from __future__ import annotations

from services.retrieve.planning.attempts import FinalResponse
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.status import status_error


def final_response(
    status: int | None, completed=None, failed=None, warning=None, uids=(), outcome=None
) -> FinalResponse:
    error = None
    if status is None:
        error = PeerError(outcome or Outcome.ABORTED, "", permanent=outcome is Outcome.NOT_SUPPORTED)
    elif status and not 0xB000 <= status <= 0xBFFF:
        error = status_error(status)
    return FinalResponse(status, completed, failed, warning, tuple(uids), error)
