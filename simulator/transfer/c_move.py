"""C-MOVE and C-GET of a scripted PACS: which objects go out, what the counters hold, and what goes wrong."""

import itertools
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pynetdicom.dimse_primitives import C_GET, C_MOVE
from pynetdicom.presentation import PresentationContext

from simulator.archive.model import Archive, ArchiveMatch, objects_of
from simulator.behaviour import Behaviour, Fault
from simulator.faults import FaultBook, RequestDetails
from simulator.network import dimse_message
from simulator.network.connection import ServedConnection
from simulator.query.c_find import CANCEL, PENDING, SUCCESS, FindOutcome, strike_down
from simulator.query.keys import LEVELS, UNIQUE_KEYS
from simulator.query.search import RefusedError, Search, find
from simulator.transfer.c_store import STORED_STATUSES, NoAssociationError, NotSentError

WARNING = 0xB000
UNABLE_TO_PERFORM = 0xA702
_FAILED_LIST_TAG = 0x00080058


class Transfer(Protocol):
    """The way to a destination."""

    def __call__(self, match: ArchiveMatch) -> int:
        """Send one object and return the status of the C-STORE response.

        Raises:
            NotSentError: it could not be sent.
        """
        ...

    def break_off(self) -> None:
        """End the association that objects are sent on, without releasing it."""
        ...


def plan_objects(query: Search, archive: Archive, behaviour: Behaviour) -> list[ArchiveMatch]:
    """Return the objects that a C-MOVE or C-GET requests, and the extra ones that are sent beside them.

    Raises:
        RefusedError: the level or a list of UIDs is not supported, or the unique key is missing.
    """
    if query.level not in behaviour.move_levels and query.level != "PATIENT":
        raise RefusedError(behaviour.refusal_status, "This level cannot be moved")
    unique = UNIQUE_KEYS[query.level]
    if unique not in query.keys:
        raise RefusedError(0xA900, "The unique key of the level is missing")
    names = {UNIQUE_KEYS[level] for level in LEVELS}
    keys = {name: values for name, values in query.keys.items() if name in names}
    if len(keys[unique]) > 1:
        match behaviour.move_uid_lists:
            case "refused":
                raise RefusedError(behaviour.refusal_status, "A list of UIDs is not supported")
            case "empty" | "ignored":
                return []
            case "first_only":
                keys[unique] = keys[unique][:1]
            case "accepted":
                pass
    wanted = list(find(Search("IMAGE", keys), archive, Behaviour(hidden=behaviour.hidden)))
    return wanted + _extra_objects(wanted, behaviour) + _foreign_objects(wanted, archive, behaviour)


def _extra_objects(wanted: list[ArchiveMatch], behaviour: Behaviour) -> list[ArchiveMatch]:
    if not behaviour.extra_objects:
        return []
    known = {match.uid for match in wanted}
    studies = {match.study.study_instance_uid: match.study for match in wanted}.values()
    others = (match for study in studies for match in objects_of(study) if match.uid not in known)
    return list(itertools.islice(others, behaviour.extra_objects))


def _foreign_objects(
    wanted: list[ArchiveMatch], archive: Archive, behaviour: Behaviour
) -> list[ArchiveMatch]:
    if not behaviour.foreign_objects:
        return []
    requested = {match.study.study_instance_uid for match in wanted}
    everything = find(Search("IMAGE", {}), archive, Behaviour())
    others = (match for match in everything if match.study.study_instance_uid not in requested)
    return list(itertools.islice(others, behaviour.foreign_objects))


def in_fraction(sop_instance_uid: str, fraction: float) -> bool:
    """Return whether an object belongs to the given part of all objects; the same objects every time."""
    return zlib.crc32(sop_instance_uid.encode("ascii")) < fraction * 2**32


@dataclass(slots=True)
class SubOperationCounters:
    """The sub-operations of one move."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def count(self, status: int | None, sop_instance_uid: str) -> None:
        """Count one sub-operation by the status of its C-STORE, None where there was none."""
        self.remaining -= 1
        if status == SUCCESS:
            self.completed += 1
        elif status in STORED_STATUSES:
            self.warning += 1
        else:
            self.failed += 1
            self.failed_uids.append(sop_instance_uid)

    def final_status(self) -> int:
        """Return the status that these counts stand for (PS3.4 C.4.2.1.5)."""
        if self.failed == 0 and self.warning == 0:
            return SUCCESS
        return WARNING if self.completed or self.warning else UNABLE_TO_PERFORM


class Interrupted(Exception):  # noqa: N818
    """A fault ended the move; the final status, or None if no response is sent."""

    def __init__(self, status: int | None) -> None:
        super().__init__()
        self.status = status


class OperationCounts:
    """Sends the objects of one move and counts them; knows nothing of the requesting association."""

    def __init__(self, book: FaultBook, transfer: Transfer, pause: Callable[[float], None]) -> None:
        self._book = book
        self._behaviour = book.behaviour
        self._transfer = transfer
        self._pause = pause
        self._unreachable = False

    def perform(self, match: ArchiveMatch, counters: SubOperationCounters) -> Fault | None:
        """Send one object, or not, as the behaviour has it; return a fault that strikes the whole move."""
        uid = match.uid
        modality = match.series.modality if match.series is not None else ""
        details = RequestDetails("store", level="IMAGE", uids=frozenset({uid}), codes=frozenset({modality}))
        fault = self._book.strike(details)
        if fault is not None and fault.kind == "delay":
            self._pause(fault.delay_s)
        elif fault is not None and fault.kind == "status":
            counters.count(fault.status, uid)
            return None
        elif fault is not None and fault.kind in {"abort", "close"}:
            self._transfer.break_off()
            counters.count(None, uid)
            return None
        elif fault is not None:
            return fault
        if self._behaviour.store_pause_s:
            self._pause(self._behaviour.store_pause_s)
        counters.count(self._status_of(match), uid)
        return None

    def _status_of(self, match: ArchiveMatch) -> int | None:
        behaviour, uid = self._behaviour, match.uid
        is_lost = uid in behaviour.never_arrive or in_fraction(uid, behaviour.never_arrive_fraction)
        is_failed = uid in behaviour.fail or in_fraction(uid, behaviour.fail_fraction)
        if (is_lost or is_failed) and self._book.lose(uid):
            return SUCCESS if is_lost else None
        return self._sent(match)

    def _sent(self, match: ArchiveMatch) -> int | None:
        if self._unreachable:
            return None
        try:
            status = self._transfer(match)
            return self._transfer(match) if self._behaviour.store_twice else status
        except NoAssociationError:
            self._unreachable = True
            return None
        except NotSentError:
            return None


class MoveScp:
    """Serves one C-MOVE or C-GET request."""

    def __init__(
        self,
        connection: ServedConnection,
        context: PresentationContext,
        request: C_MOVE | C_GET,
        behaviour: Behaviour,
        fault: Fault | None,
        outcome: FindOutcome,
    ) -> None:
        self._outcome = outcome
        self._connection = connection
        self._context_id = context.context_id or 0
        self._implicit_vr = context.transfer_syntax[0].is_implicit_VR
        self._behaviour = behaviour
        self._fault = fault
        self._message_id = request.MessageID or 0
        self._sop_class_uid = str(request.AffectedSOPClassUID)
        self._command_field = (
            dimse_message.C_MOVE_RSP if isinstance(request, C_MOVE) else dimse_message.C_GET_RSP
        )

    def refuse(self, status: int, comment: str | None = None) -> None:
        """Respond with a status and nothing else."""
        self._finish(status, None, comment)

    def promise(self, number: int) -> None:
        """Respond that all objects are sent, before any is."""
        self._outcome.matches = number
        self._finish(SUCCESS, SubOperationCounters(remaining=0, completed=number))

    def serve(self, objects: list[ArchiveMatch], sub_operations: OperationCounts) -> None:
        """Send the objects, with a response after each, and the final response."""
        self._outcome.matches = len(objects)
        counters = SubOperationCounters(remaining=len(objects))
        try:
            status: int | None = self._perform_all(objects, sub_operations, counters)
        except Interrupted as exc:
            status = exc.status
        if status is None:
            return
        if self._behaviour.move_status is not None and status != CANCEL:
            status = self._behaviour.move_status
        self._finish(status, counters, self._fault.comment if self._fault is not None else None)

    def _finish(self, status: int, counters: SubOperationCounters | None, comment: str | None = None) -> None:
        self._outcome.finish(status)
        self._respond(status, counters, comment=comment)

    def _perform_all(
        self, objects: list[ArchiveMatch], sub_operations: OperationCounts, counters: SubOperationCounters
    ) -> int:
        for number, match in enumerate(objects):
            self._strike_at(number)
            if self._is_cancelled():
                return CANCEL
            fault = sub_operations.perform(match, counters)
            if fault is not None:
                self._strike(fault)
            if self._behaviour.move_pending and counters.remaining:
                self._respond(PENDING, counters)
        if self._fault is not None and self._fault.after_responses >= len(objects):
            self._strike(self._fault)
        return counters.final_status()

    def _strike_at(self, number: int) -> None:
        if self._fault is not None and self._fault.after_responses == number:
            self._strike(self._fault)

    def _strike(self, fault: Fault) -> None:
        """Do what a fault does.

        Raises:
            Interrupted: the move is over.
        """
        if fault.kind == "status":
            raise Interrupted(fault.status)
        if strike_down(self._connection, fault):
            raise Interrupted(None)

    def _is_cancelled(self) -> bool:
        return self._behaviour.cancel == "honoured" and self._connection.is_cancelled(self._message_id)

    def _respond(
        self, status: int, counters: SubOperationCounters | None, *, comment: str | None = None
    ) -> None:
        elements: list[tuple[int, int | str]] = [
            (dimse_message.AFFECTED_SOP_CLASS_UID, self._sop_class_uid),
            (dimse_message.COMMAND_FIELD, self._command_field),
            (dimse_message.MESSAGE_ID_RESPONDED_TO, self._message_id),
            (dimse_message.STATUS, status),
        ]
        if comment:
            elements.append((dimse_message.ERROR_COMMENT, comment))
        elements += self._counted(status, counters)
        data_set = self._failed_list(status, counters)
        command = dimse_message.command_set(elements, has_data_set=data_set is not None)
        self._connection.send(self._context_id, command, data_set)

    def _counted(self, status: int, counters: SubOperationCounters | None) -> list[tuple[int, int | str]]:
        given = self._behaviour.move_counters
        if counters is None or given == "absent" or (given == "final_only" and status == PENDING):
            return []
        times = {"zero": 0, "doubled": 2}.get(given, 1)
        elements: list[tuple[int, int | str]] = [
            (dimse_message.COMPLETED_SUB_OPERATIONS, counters.completed * times),
            (dimse_message.FAILED_SUB_OPERATIONS, counters.failed * times),
            (dimse_message.WARNING_SUB_OPERATIONS, counters.warning * times),
        ]
        if status in {PENDING, CANCEL}:
            elements.append((dimse_message.REMAINING_SUB_OPERATIONS, counters.remaining * times))
        return elements

    def _failed_list(self, status: int, counters: SubOperationCounters | None) -> bytes | None:
        if counters is None or status in {PENDING, SUCCESS} or not self._behaviour.move_failed_list:
            return None
        if not counters.failed_uids:
            return None
        value = "\\".join(counters.failed_uids).encode("ascii")
        return dimse_message.element(_FAILED_LIST_TAG, "UI", value, implicit_vr=self._implicit_vr)
