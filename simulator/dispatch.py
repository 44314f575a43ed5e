"""Dispatches a received request to its service, with its record and its fault."""

import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO

from pynetdicom import dsutils
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, C_GET, C_MOVE, DimseServiceType
from pynetdicom.presentation import PresentationContext

from simulator import witness as records
from simulator.archive.model import Archive, ArchiveMatch
from simulator.behaviour import Behaviour, Fault, Operation
from simulator.content import WITHOUT_BULK_DATA, ObjectEncoder, without_bulk_data
from simulator.faults import FaultBook, RequestDetails
from simulator.network.connection import ConnectionLostError, ServedConnection
from simulator.query.c_find import Finder, FindOutcome, echo, strike_down
from simulator.query.responses import ResponseEncoder
from simulator.query.search import RefusedError, Search, parse
from simulator.transfer.c_move import MoveScp, OperationCounts, SubOperationCounters, plan_objects
from simulator.transfer.c_store import (
    Destination,
    NotSentError,
    Originator,
    StoreSender,
    context_for,
    store_command,
)
from simulator.witness import Witness

_OPERATIONS: dict[type, Operation] = {C_ECHO: "echo", C_FIND: "find", C_MOVE: "move", C_GET: "get"}
_NO_QUERY = Search("")


@dataclass(slots=True)
class _Job:
    """One request while it is served."""

    connection: ServedConnection
    request: C_ECHO | C_FIND | C_MOVE | C_GET
    context: PresentationContext
    record: records.RecordedRequest
    begun: float
    query: Search = _NO_QUERY
    fault: Fault | None = None
    outcome: FindOutcome = field(default_factory=FindOutcome)
    is_recorded: bool = False
    is_counted_as_move: bool = False

    @property
    def context_id(self) -> int:
        return self.context.context_id or 0

    @property
    def implicit_vr(self) -> bool:
        return self.context.transfer_syntax[0].is_implicit_VR

    def details(self) -> RequestDetails:
        return RequestDetails(
            _OPERATIONS[type(self.request)],
            self.connection.calling_ae_title,
            self.query.level or None,
            self.query.uids(),
            self.query.codes(),
        )


class Services:
    """Serves the requests of all associations of one PACS."""

    def __init__(
        self,
        archive: Archive,
        book: FaultBook,
        witness: Witness,
        ae_title: str,
        destinations: Mapping[str, tuple[str, int]],
        stopping: threading.Event,
    ) -> None:
        self._archive = archive
        self._book = book
        self._witness = witness
        self._ae_title = ae_title
        self._destinations = destinations
        self._stopping = stopping
        self._encoder = ObjectEncoder()
        self._later: set[threading.Thread] = set()
        self._lock = threading.Lock()

    def serve(
        self, connection: ServedConnection, request: DimseServiceType, context: PresentationContext
    ) -> None:
        """Serve one request and record it.

        Raises:
            ConnectionLostError: the peer left before the response.
        """
        if not isinstance(request, (C_ECHO, C_FIND, C_MOVE, C_GET)):
            connection.abort()
            return
        record = records.RecordedRequest(
            self._witness.next_number(),
            records.now(),
            connection.number,
            connection.calling_ae_title,
            _OPERATIONS[type(request)],
            move_destination=str(request.MoveDestination).strip() if isinstance(request, C_MOVE) else None,
        )
        job = _Job(connection, request, context, record, time.monotonic())
        job.outcome.on_final_status = lambda: self._end(job)
        try:
            self._serve(job)
        finally:
            self._end(job)

    def _end(self, job: _Job) -> None:
        """Record a request once, and give back its place among the moves."""
        if job.is_counted_as_move:
            job.is_counted_as_move = False
            self._witness.end_move()
        if job.is_recorded:
            return
        job.is_recorded = True
        self._witness.record(
            dataclasses.replace(
                job.record,
                matches=job.outcome.matches,
                status=job.outcome.status,
                fault=job.fault.kind if job.fault is not None else None,
                duration_s=round(time.monotonic() - job.begun, 6),
            )
        )

    def _serve(self, job: _Job) -> None:
        refusal = self._read_query(job)
        behaviour = self._book.behaviour
        job.fault = self._book.strike(job.details())
        if behaviour.request_delay_s:
            job.connection.pause(behaviour.request_delay_s)
        request = job.request
        if isinstance(request, C_ECHO):
            self._echo(job, request)
        elif isinstance(request, C_FIND):
            finder = Finder(
                job.connection, job.context_id, request, behaviour, job.fault, job.outcome, self._watch(job)
            )
            if refusal is not None:
                finder.refuse(refusal)
                return
            encoder = ResponseEncoder(job.query, behaviour, self._ae_title, implicit_vr=job.implicit_vr)
            finder.serve(job.query, self._archive, encoder)
        else:
            mover = MoveScp(job.connection, job.context, request, behaviour, job.fault, job.outcome)
            if refusal is not None:
                mover.refuse(refusal.status, refusal.comment)
                return
            self._limited_move(job, mover, request, behaviour)

    def _watch(self, job: _Job) -> Callable[[ArchiveMatch], Fault | None]:
        details = job.details()

        def watch(match: ArchiveMatch) -> Fault | None:
            fault = self._book.strike_response(details, match)
            job.fault = fault or job.fault
            return fault

        return watch

    @staticmethod
    def _read_query(job: _Job) -> RefusedError | None:
        """Read the identifier of a request into its job; return what is wrong with it."""
        try:
            job.query = _query_of(job)
        except RefusedError as exc:
            return exc
        job.record = dataclasses.replace(
            job.record,
            level=job.query.level or None,
            keys=job.query.witnessed(records.RECORDED_KEYS),
            asked=job.query.keywords,
        )
        return None

    @staticmethod
    def _echo(job: _Job, request: C_ECHO) -> None:
        fault = job.fault
        if fault is None or fault.kind == "status" or not strike_down(job.connection, fault):
            echo(job.connection, job.context_id, request, fault, job.outcome)

    # Moves

    def _limited_move(self, job: _Job, mover: MoveScp, request: C_MOVE | C_GET, behaviour: Behaviour) -> None:
        if not self._witness.begin_move(behaviour.move_limit):
            mover.refuse(behaviour.move_limit_status, "Too many moves at once")
            return
        job.is_counted_as_move = True
        try:
            self._move(job, mover, request, behaviour)
        except RefusedError as exc:
            mover.refuse(exc.status, exc.comment)

    def _move(self, job: _Job, mover: MoveScp, request: C_MOVE | C_GET, behaviour: Behaviour) -> None:
        if behaviour.move_refused_with is not None:
            raise RefusedError(behaviour.move_refused_with, "")
        destination = None
        if isinstance(request, C_MOVE):
            destination = self._destination(str(request.MoveDestination).strip(), behaviour)
        objects = plan_objects(job.query, self._archive, behaviour)
        if behaviour.move_nothing:
            objects = []
        if destination is None:
            mover.serve(
                objects,
                OperationCounts(
                    self._book, _OnAssociation(job, self._witness, self._encoder), job.connection.pause
                ),
            )
            return
        originator = Originator(job.connection.calling_ae_title, request.MessageID or 0)
        transfer = _RetrieveService(
            StoreSender(self._ae_title, destination, self._encoder),
            objects,
            originator,
            self._witness,
            behaviour,
        )
        if behaviour.move_later_s is not None:
            self._begin_later(transfer, behaviour.move_later_s)
            mover.promise(len(objects))
            return
        try:
            mover.serve(objects, OperationCounts(self._book, transfer, job.connection.pause))
        finally:
            transfer.close()

    def _destination(self, ae_title: str, behaviour: Behaviour) -> Destination:
        address = self._destinations.get(ae_title)
        if address is None:
            raise RefusedError(behaviour.unknown_destination_status, "Move destination unknown")
        return Destination(ae_title, *address)

    def _begin_later(self, transfer: "_RetrieveService", delay_s: float) -> None:
        thread = threading.Thread(
            target=self._send_later, args=(transfer, delay_s), name="pacs-queue", daemon=True
        )
        with self._lock:
            self._later = {known for known in self._later if known.is_alive()} | {thread}
            thread.start()

    def _send_later(self, transfer: "_RetrieveService", delay_s: float) -> None:
        sub_operations = OperationCounts(self._book, transfer, self._wait)
        counters = SubOperationCounters(remaining=len(transfer.objects))
        self._wait(delay_s)
        try:
            for match in transfer.objects:
                if self._stopping.is_set():
                    return
                sub_operations.perform(match, counters)
        finally:
            transfer.close()

    def _wait(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def join(self, timeout_s: float) -> None:
        """Wait for what is still being sent in the background."""
        with self._lock:
            threads = list(self._later)
        for thread in threads:
            thread.join(timeout_s)


class _RetrieveService:
    """Sends the objects of one move to their destination."""

    def __init__(
        self,
        sender: StoreSender,
        objects: list[ArchiveMatch],
        originator: Originator,
        witness: Witness,
        behaviour: Behaviour,
    ) -> None:
        self.objects = objects
        self._sender = sender
        self._originator = originator
        self._witness = witness
        self._closes_each = behaviour.association_per_object
        self._instances = [match.instance for match in objects if match.instance is not None]

    def __call__(self, match: ArchiveMatch) -> int:
        status = self._sender.send(match, self._instances, self._originator)
        self._witness.sent()
        if self._closes_each:
            self._sender.close()
        return status

    def break_off(self) -> None:
        self._sender.abort()

    def close(self) -> None:
        self._sender.close()


class _OnAssociation:
    """Sends the objects of a C-GET on the association of its request."""

    def __init__(self, job: _Job, witness: Witness, encoder: ObjectEncoder) -> None:
        self._connection = job.connection
        self._witness = witness
        self._encoder = encoder
        self._without_bulk_data = job.context.abstract_syntax == WITHOUT_BULK_DATA
        self._message_id = job.request.MessageID or 0

    def __call__(self, match: ArchiveMatch) -> int:
        usable = [context for context in self._connection.accepted_contexts if context.as_scu]
        context = None if match.instance is None else context_for(usable, match.instance)
        if context is None or context.context_id is None:
            raise NotSentError("the peer does not take the storage class")
        implicit_vr = context.transfer_syntax[0].is_implicit_VR
        made = (
            without_bulk_data(match, implicit_vr=implicit_vr)
            if self._without_bulk_data
            else self._encoder.encode(match, implicit_vr=implicit_vr)
        )
        self._message_id = self._message_id % 0xFFFF + 1
        self._connection.send(context.context_id, store_command(made, self._message_id, None), made.data_set)
        status = self._connection.receive_store_response()
        if status is None:
            raise ConnectionLostError
        self._witness.sent()
        return status

    def break_off(self) -> None:
        self._connection.abort()


def _query_of(job: _Job) -> Search:
    if isinstance(job.request, C_ECHO):
        return _NO_QUERY
    syntax = job.context.transfer_syntax[0]
    identifier = job.request.Identifier or BytesIO()
    try:
        return parse(dsutils.decode(identifier, syntax.is_implicit_VR, syntax.is_little_endian))
    except (ValueError, TypeError, KeyError, AttributeError, OSError) as exc:
        raise RefusedError(0xC000, "The identifier cannot be read") from exc
