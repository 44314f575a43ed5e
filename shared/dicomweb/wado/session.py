"""WADO-RS (PS3.18 10.4): objects come part by part, and each goes on to a store by C-STORE."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from io import BytesIO

from pydicom.dataset import Dataset

from shared.dicom.association.sub_operations import MoveResult, ProgressWatch, SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import InterruptedWorkError, NotNowError, Outcome, PeerError, StoreError
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.c_get import Fetched
from shared.dicom.relay.c_store import StorageAssociation, open_storage_association
from shared.dicom.relay.fetched_object import (
    MAX_OBJECT_BYTES,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    FetchedObject,
    ObjectFile,
)
from shared.dicom.relay.object_relay import ObjectRelay
from shared.dicom.upper_layer.associate_requestor import Proposal
from shared.dicom.upper_layer.receive_rate import LEAST_BYTES_PER_S
from shared.dicomweb.http.connection import WebResponse
from shared.dicomweb.http.errors import WebStatusError
from shared.dicomweb.http.session import WebSession
from shared.dicomweb.wado.multipart import MultipartPart, parts_of
from shared.dicomweb.wado.received_part import ReceivedPart

#: As the server keeps them; and where it does not take that, as it likes (PS3.18 8.7.3.5.2).
ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PLAIN_ACCEPT = 'multipart/related; type="application/dicom"'


@dataclass(frozen=True, slots=True)
class WadoTarget:
    """One resource to retrieve; without an object it is a series."""

    path: str
    sop_instance_uid: str = ""

    @property
    def metadata_path(self) -> str:
        """Where its header is (PS3.18 10.4.1.1.2)."""
        return f"{self.path}/metadata"


def wado_targets(identifier: Dataset) -> list[WadoTarget]:
    """Return the resources that an identifier of one study names: its series, or objects of one series.

    Raises:
        LookupError: it names several studies, or objects of several series.
    """
    studies, series = _uids(identifier, "StudyInstanceUID"), _uids(identifier, "SeriesInstanceUID")
    objects = _uids(identifier, "SOPInstanceUID")
    if len(studies) != 1 or not series or (objects and len(series) != 1):
        raise LookupError("an identifier that does not say where its objects are")
    below = [f"/studies/{studies[0]}/series/{uid}" for uid in series]
    if not objects:
        return [WadoTarget(path) for path in below]
    return [WadoTarget(f"{below[0]}/instances/{uid}", uid) for uid in objects]


def _uids(identifier: Dataset, keyword: str) -> list[str]:
    value = identifier.get(keyword) or ()
    return [str(value)] if isinstance(value, str) else [str(item) for item in value]


#: Statuses of a C-MOVE with the same meaning: all, some, and no sub-operation succeeded (PS3.4 C.4.2.1.5).
SUCCESS, SOME_FAILED, ALL_FAILED = 0x0000, 0xB000, 0xA702


class WadoSession(WebSession):
    """A session for retrieves."""

    operation = "WADO-RS"

    @property
    def fetch_kind(self) -> type[Fetch]:
        """What sends the requests."""
        return Fetch

    def fetch(
        self,
        identifier: Dataset,
        store: Peer,
        timeouts: Timeouts,
        on_progress: Callable[[SubOperations], None] | None = None,
        cancellation: Cancellation | None = None,
        *,
        open_file: Callable[[], ObjectFile] = BytesIO,
    ) -> Fetched:
        """Retrieve what an identifier names and hand every object on to `store`.

        The result has the status and the counters of a C-GET with the same meaning, and holds what went
        wrong. An object counts once its part has ended with a boundary, its data set is whole, and the store
        has accepted it.

        Raises:
            StoreError: the store accepts no association, and nothing was stored.
            PeerError: the server does not let us in, and nothing was stored.
            NotNowError: the node's limits do not allow a request now.
            InterruptedWorkError: the work was stopped while it waited for these limits.
        """
        self.admit()
        began = time.monotonic()
        out = StoreOnDemand(store, timeouts, cancellation)
        fetch = self.fetch_kind(self, identifier, out, self._timeouts, on_progress, cancellation, open_file)
        try:
            fetch.run()
        except (NotNowError, StoreError):
            if not fetch.relay.stored:
                raise
        except (PeerError, InterruptedWorkError) as error:
            if _lets_nobody_in(error) and not fetch.relay.stored:
                raise
            fetch.error = error
        finally:
            out.release()
            if not fetch.orderly:
                self.abort()
        result = fetch.result()
        result.duration_ms = round((time.monotonic() - began) * 1000)
        return Fetched(result, fetch.relay.stored, fetch.relay.refusal)


def _lets_nobody_in(error: PeerError | InterruptedWorkError) -> bool:
    """Return whether a session is refused as such: a server says so only in response to a request."""
    return isinstance(error, PeerError) and error.associating and error.permanent


#: Presentation contexts of one association (PS3.8 9.3.2.2).
_MOST_CONTEXTS = 128


class StoreOnDemand:
    """An association with a store for objects whose class and transfer syntax are known only as they come.

    It is made anew where it has no context for an object.
    """

    def __init__(self, store: Peer, timeouts: Timeouts, cancellation: Cancellation | None) -> None:
        self._store = store
        self._timeouts = timeouts
        self.cancellation = cancellation
        self._kinds: dict[Proposal, None] = {}
        self._association: StorageAssociation | None = None

    @property
    def alive(self) -> bool:
        """Whether objects can be sent."""
        return self._association is None or self._association.alive

    def context_id(self, sop_class_uid: str, transfer_syntax_uid: str) -> int | None:
        """Return the context for an object; None if the store takes none of its kind.

        Raises:
            StoreError: the store accepts no association.
            InterruptedWorkError: the work was stopped.
        """
        kind = sop_class_uid, (transfer_syntax_uid,)
        if kind not in self._kinds:
            if len(self._kinds) >= _MOST_CONTEXTS:
                self._kinds.clear()
            self._kinds[kind] = None
            self.release()
            self._association = self._opened()
        assert self._association is not None
        return self._association.context_id(sop_class_uid, transfer_syntax_uid)

    def c_store(
        self,
        context_id: int,
        sop_class_uid: str,
        sop_instance_uid: str,
        data_set: ObjectFile,
        check: Callable[[], float],
    ) -> int:
        """Send an object, as `StorageAssociation.c_store` does."""
        assert self._association is not None
        return self._association.c_store(context_id, sop_class_uid, sop_instance_uid, data_set, check)

    def release(self) -> None:
        """End it."""
        if self._association is not None:
            self._association.release()
            self._association = None

    def _opened(self) -> StorageAssociation:
        try:
            return open_storage_association(
                self._store, list(self._kinds), self._timeouts, cancellation=self.cancellation
            )
        except PeerError as error:
            raise StoreError(error) from error


@dataclass(slots=True)
class _Counts:
    completed: int = 0
    failed: int = 0
    failed_uids: list[str] = field(default_factory=list)


class Fetch:
    """The requests for one identifier."""

    def __init__(
        self,
        session: WebSession,
        identifier: Dataset,
        out: StoreOnDemand,
        timeouts: Timeouts,
        on_progress: Callable[[SubOperations], None] | None,
        cancellation: Cancellation | None,
        open_file: Callable[[], ObjectFile],
    ) -> None:
        self.session = session
        self._targets = wado_targets(identifier)
        self._on_progress = on_progress
        self.cancellation = cancellation
        self._open_file = open_file
        self._deadline = ProgressWatch(timeouts.response_s).deadline
        self.relay = ObjectRelay(out, identifier, self._deadline, self._check)
        self._counts = _Counts()
        #: What ended it before its last request.
        self.error: PeerError | InterruptedWorkError | None = None
        #: Whether the connection is fit for another request.
        self.orderly = False
        self.refusal: PeerError | None = None
        self._ended = False

    def run(self) -> None:
        """Send the requests one after another.

        Raises:
            PeerError: a response broke off, or no other can succeed.
            InterruptedWorkError: the work was stopped.
        """
        for number, target in enumerate(self._targets):
            if number:
                self.session.admit()
            self.orderly = False
            self.retrieve(target)
            self.orderly = True
            self._report()
        self._ended = True

    def result(self) -> MoveResult:
        """Return how it ended."""
        counts = self._counts
        result = MoveResult(
            sub_operations=SubOperations(completed=counts.completed, failed=counts.failed, warning=0),
            failed_sop_instance_uids=tuple(counts.failed_uids),
            error=self.error,
        )
        if not self._ended:
            result.error = self.error or self.relay.error or self.refusal
            return result
        if not counts.failed:
            result.status_code = SUCCESS
        elif counts.completed:
            result.status_code = SOME_FAILED
        else:
            result.status_code = ALL_FAILED
            result.error = self.relay.error or self.refusal
        return result

    def retrieve(self, target: WadoTarget) -> None:
        """Request one resource, and hand on what comes."""
        response = self._response(target)
        if response.status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            refusal = self.session.refusal(response, "an instance" if target.sop_instance_uid else "a series")
            if refusal.associating or refusal.congested:
                raise refusal
            self.refusal = refusal
            self.fail(target.sop_instance_uid)
            return
        before = self._counts.completed
        for part in parts_of(response.content_type, response.chunks()):
            self._take(part, target)
        if target.sop_instance_uid and self._counts.completed == before:
            self.fail(target.sop_instance_uid)
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            self.refusal = WebStatusError(
                Outcome.CAPPED, "the server returned a part of a series", http_status=response.status
            )
            self.fail("")

    def _response(self, target: WadoTarget) -> WebResponse:
        for accept in (ACCEPT, PLAIN_ACCEPT):
            response = self.session.get(
                target.path, accept, check=self.check_time, cancellation=self.cancellation
            )
            if response.status != HTTPStatus.NOT_ACCEPTABLE or accept == PLAIN_ACCEPT:
                break
            self.session.refusal(response, "")
            self.session.admit()
        return response

    # Parts

    def _take(self, part: MultipartPart, target: WadoTarget) -> None:
        """Take one part; what is no whole object counts as failed, and is not handed on."""
        received = FetchedObject(self._open_file, self._bytes_came, MAX_OBJECT_BYTES)
        try:
            read = ReceivedPart(received)
            read.read(part)
            if read.problem:
                self.relay.error = PeerError(Outcome.BAD_RESPONSE, f"a part of the response {read.problem}")
                if not target.sop_instance_uid:
                    self.fail("")
                return
            self.relay_object(received, read.transfer_syntax_uid, target)
        finally:
            received.close()
        self._report()

    def relay_object(self, received: FetchedObject, transfer_syntax_uid: str, target: WadoTarget) -> None:
        """Hand on an object that has come, and count it."""
        uids = received.uids()
        sop_instance_uid = uids.get(SOP_INSTANCE_UID, "")
        before = len(self.relay.stored)
        known = sop_instance_uid in self.relay.stored
        self.relay.take(uids.get(SOP_CLASS_UID, ""), sop_instance_uid, transfer_syntax_uid, received)
        if len(self.relay.stored) > before:
            self._counts.completed += 1
        elif not known and not target.sop_instance_uid:
            self.fail(sop_instance_uid)

    # Counters and time

    def fail(self, sop_instance_uid: str) -> None:
        """Count an object that failed."""
        self._counts.failed += 1
        if sop_instance_uid:
            self._counts.failed_uids.append(sop_instance_uid)

    def _report(self) -> None:
        if self._on_progress is not None:
            counts = self._counts
            self._on_progress(SubOperations(completed=counts.completed, failed=counts.failed, warning=0))

    def _bytes_came(self, size_bytes: int) -> None:
        self._deadline.progressed(size_bytes / LEAST_BYTES_PER_S)

    def check_time(self) -> None:
        """Raise TimeoutError if the time is over."""
        if self._deadline.is_over:
            raise TimeoutError

    def _check(self) -> float:
        """Return until when there is time.

        Raises:
            TimeoutError: it is over.
            InterruptedWorkError: the work was stopped.
        """
        self.check_time()
        if self.cancellation is not None and self.cancellation.requested:
            raise InterruptedWorkError(self.cancellation.reason)
        return self._deadline.at
