"""C-FIND (PS3.4 C.4.1): one request, all its responses, and the final status, which is always checked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

from pydicom.dataset import Dataset

from shared.dicom.association.dimse_operation import PENDING, OperationAssociation
from shared.dicom.association.native import open_native_association
from shared.dicom.association.operation_deadline import (
    AFTER_NO_MATCH_S,
    MATCH_CREDIT_S,
    OperationDeadline,
    find_deadline,
)
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, Outcome, PeerError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.query.matches import FindResult, MalformedMatchError, Match, match_of
from shared.dicom.sop_classes import STUDY_ROOT_FIND
from shared.dicom.status import status_error
from shared.dicom.upper_layer.dimse_command import C_FIND_RSP, c_find_rq


class FindResponse(NamedTuple):
    """One C-FIND-RSP: its status, and the encoded match where there is one."""

    status_code: int
    identifier: bytes | None


T = TypeVar("T")

SUCCESS = 0x0000

#: Bytes of all identifiers in the responses to one C-FIND; 64 MiB hold some 200,000 usual matches.
MAX_RESPONSE_BYTES = 64 << 20
#: Responses in succession with the same identifier; some archives send one for each object.
MAX_REPEATS = 10_000
#: Responses to one C-FIND beyond which it is aborted: a peer that never ends must not fill the memory.
MAX_RESPONSES = 500_000


class FindAssociation(OperationAssociation):
    """An association for C-FIND of the Study Root model."""

    response_field = C_FIND_RSP
    operation = "C-FIND"

    def c_find(
        self, identifier: Dataset, read: Callable[[Match], T], cancellation: Cancellation | None = None
    ) -> FindResult[T]:
        """Send one C-FIND and read all its responses; the result holds what went wrong.

        The association is aborted if no final response came, so that no late one meets the next request.

        Raises:
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped while it waited for these limits.
        """
        result: FindResult[T] = FindResult()
        self.admit()
        began = time.monotonic()
        try:
            self._collect(identifier, read, cancellation, result)
        except (PeerError, InterruptedWorkError) as error:
            result.error = _explained(error, result)
        result.duration_ms = round((time.monotonic() - began) * 1000)
        if result.status_code is None:
            self.abort()
        return result

    #: The name of this operation for all protocols.
    find = c_find

    def _collect(
        self,
        identifier: Dataset,
        read: Callable[[Match], T],
        cancellation: Cancellation | None,
        result: FindResult[T],
    ) -> None:
        bounds = _ResponseBounds()
        deadline = find_deadline(self._timeouts.response_s)
        for response in self._find_responses(identifier, cancellation, deadline):
            if response.status_code not in PENDING:
                result.status_code = response.status_code
                continue
            is_new = bounds.is_new(response.identifier)
            if not self._read(response.identifier, read, result):
                deadline.hurry(AFTER_NO_MATCH_S)
            elif is_new:
                deadline.progressed(MATCH_CREDIT_S)
        if result.status_code != SUCCESS:
            assert result.status_code is not None
            result.error = status_error(result.status_code)
            if cancellation is not None and cancellation.requested:
                result.error = InterruptedWorkError(cancellation.reason)
        elif result.broken:
            responses = len(result.matches) + result.broken
            detail = f"{result.broken} of {responses} matches could not be read: {result.problem}"
            result.error = PeerError(Outcome.BAD_RESPONSE, detail)

    def _read(self, encoded: bytes | None, read: Callable[[Match], T], result: FindResult[T]) -> bool:
        """Read the match of a response; return whether it holds one."""
        try:
            result.matches.append(read(match_of(encoded)))
        except MalformedMatchError as error:
            result.broken += 1
            result.problem = result.problem or str(error)
            return False
        return True

    def _find_responses(
        self, identifier: Dataset, cancellation: Cancellation | None, deadline: OperationDeadline
    ) -> Iterator[FindResponse]:
        """Send one C-FIND and yield its responses; the last one is final, unless an error is raised.

        Raises:
            PeerError: the peer ended the association, was silent for too long, or spoke no DICOM.
            InterruptedWorkError: the work was stopped.
        """
        message_id = self.next_message_id()
        command = c_find_rq(message_id, STUDY_ROOT_FIND)
        for status_code, message in self._responses(command, message_id, identifier, cancellation, deadline):
            yield FindResponse(status_code, message.data_set)


class _ResponseBounds:
    """Counts the pending responses to one request, and their bytes."""

    def __init__(self) -> None:
        self._responses = 0
        self._bytes = 0
        self._repeats = 0
        self._last: bytes | None = None

    def is_new(self, identifier: bytes | None) -> bool:
        """Count one response; return whether it differs from the one before.

        Raises:
            PeerError: there are more than are read.
        """
        self._responses += 1
        if self._responses > MAX_RESPONSES:
            raise _unbounded(f"more than {MAX_RESPONSES} responses to one request")
        self._bytes += len(identifier or b"")
        if self._bytes > MAX_RESPONSE_BYTES:
            raise _unbounded(f"more than {MAX_RESPONSE_BYTES >> 20} MiB of responses to one request")
        if identifier != self._last:
            self._last, self._repeats = identifier, 0
            return True
        self._repeats += 1
        if self._repeats > MAX_REPEATS:
            raise _unbounded(f"the same match more than {MAX_REPEATS} times in succession")
        return False


def _explained(
    error: PeerError | InterruptedWorkError, result: FindResult[T]
) -> PeerError | InterruptedWorkError:
    """Return the error of a C-FIND without a final response; a response without a match may be the cause."""
    if not isinstance(error, PeerError) or error.outcome is not Outcome.TIMED_OUT or not result.broken:
        return error
    detail = f"{error.detail}; {result.broken} of them could not be read: {result.problem}"
    return PeerError(error.outcome, detail)


def _unbounded(detail: str) -> PeerError:
    return PeerError(Outcome.BAD_RESPONSE, detail)


def open_find_association(
    peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None
) -> FindAssociation:
    """Open an association for C-FIND.

    Raises:
        PeerError: it is not established, with the outcome.
        InterruptedWorkError: the work was stopped.
    """
    return open_native_association(
        FindAssociation, peer, STUDY_ROOT_FIND, timeouts, cancellation=cancellation
    )
