"""C-ECHO and C-FIND of a scripted PACS."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pynetdicom.dimse_primitives import C_ECHO, C_FIND

from simulator.archive.model import Archive, ArchiveMatch
from simulator.behaviour import RESPONSE_FAULTS, Behaviour, Fault
from simulator.network import dimse_message
from simulator.network.connection import ServedConnection
from simulator.query.responses import ResponseEncoder
from simulator.query.search import RefusedError, Search, admit, find

PENDING = 0xFF00
SUCCESS = 0x0000
CANCEL = 0xFE00
_RESPONSE_LIMIT_WARNING = 0xB001
#: Bytes of responses that are written together, unless a pause or a fault needs single ones.
_BATCH_BYTES = 32_768
#: An unknown PDU type (PS3.8 9.3.1 knows 01H to 07H).
_GARBAGE = b"\xff\x00\x00\x00\x00\x04junk"


@dataclass(slots=True)
class FindOutcome:
    """The result of a request: its number of matches or objects, and the final status, if there is one."""

    matches: int = 0
    status: int | None = None
    #: Called before the final response leaves: who receives it finds the request in the record.
    on_final_status: Callable[[], None] = lambda: None

    def finish(self, status: int) -> None:
        """Set the final status of the request, before its response is sent."""
        self.status = status
        self.on_final_status()


def echo(
    connection: ServedConnection, context_id: int, request: C_ECHO, fault: Fault | None, outcome: FindOutcome
) -> None:
    """Respond to a C-ECHO."""
    status = fault.status if fault is not None and fault.kind == "status" else SUCCESS
    command = dimse_message.command_set(
        (
            (dimse_message.AFFECTED_SOP_CLASS_UID, str(request.AffectedSOPClassUID)),
            (dimse_message.COMMAND_FIELD, dimse_message.C_ECHO_RSP),
            (dimse_message.MESSAGE_ID_RESPONDED_TO, request.MessageID or 0),
            (dimse_message.STATUS, status),
        ),
        has_data_set=False,
    )
    outcome.finish(status)
    connection.send(context_id, command)


def strike_down(connection: ServedConnection, fault: Fault) -> bool:
    """Do what a fault does to a whole association; return whether the request is over with it."""
    if fault.kind == "abort":
        connection.abort()
    elif fault.kind == "close":
        connection.drop()
    elif fault.kind == "garbage":
        connection.raw.sendall(_GARBAGE)
    elif fault.kind == "delay":
        connection.pause(fault.delay_s)
        return False
    else:
        return fault.kind == "never_answer"
    return True


class Finder:
    """Serves one C-FIND request."""

    def __init__(
        self,
        connection: ServedConnection,
        context_id: int,
        request: C_FIND,
        behaviour: Behaviour,
        fault: Fault | None,
        outcome: FindOutcome,
        watch: Callable[[ArchiveMatch], Fault | None] = lambda _match: None,
    ) -> None:
        """Make one; `watch` names the fault that strikes at a response about an entity."""
        self._outcome = outcome
        self._watch = watch
        self._connection = connection
        self._context_id = context_id
        self._behaviour = behaviour
        self._fault = fault
        self._message_id = request.MessageID or 0
        self._sop_class_uid = str(request.AffectedSOPClassUID)
        self._pending = self._command(PENDING, has_data_set=True)
        self._batch = bytearray()
        self._maximum_length = connection.requestor.maximum_length or 0

    def serve(self, query: Search, archive: Archive, encoder: ResponseEncoder) -> None:
        """Send all matches and the final status."""
        try:
            status = self._send_matches(query, archive, encoder)
        except RefusedError as exc:
            self.refuse(exc)
            return
        if status is not None:
            self._finish(status, self._comment(status))

    def refuse(self, refusal: RefusedError) -> None:
        """Respond with a failure status, unless a fault strikes first."""
        fault = self._fault
        if (
            fault is not None
            and fault.kind not in {"status", *RESPONSE_FAULTS}
            and strike_down(self._connection, fault)
        ):
            return
        self._finish(refusal.status, refusal.comment)

    def _comment(self, status: int) -> str | None:
        fault = self._fault
        return (
            fault.comment if fault is not None and fault.kind == "status" and fault.status == status else None
        )

    def _send_matches(self, query: Search, archive: Archive, encoder: ResponseEncoder) -> int | None:
        """Send the matches; return the final status, or None if no final response is sent."""
        fault, behaviour = self._fault, self._behaviour
        admitted = admit(query, behaviour, relational=self._connection.relational)
        matches = iter(()) if admitted is None else find(admitted, archive, behaviour)
        cap = behaviour.cap if query.level in behaviour.cap_levels else None
        if cap is not None and behaviour.cap_effect == "refuse_at_once":
            matches = self._refuse_if_more(matches, cap)
        for number, match in enumerate(self._repeated(matches)):
            if cap is not None and number >= cap:
                return self._capped()
            here = self._fault_at(number, match)
            if here is not None and self._interrupts(here):
                return here.status if here.kind == "status" else None
            if self._is_cancelled():
                return CANCEL
            self._send_match(match, encoder, here)
            self._outcome.matches += 1
        if fault is not None and self._outcome.matches <= fault.after_responses and self._interrupts(fault):
            # Fewer matches than the fault waits for: it strikes in place of the final response.
            return fault.status if fault.kind == "status" else None
        return SUCCESS

    def _refuse_if_more(self, matches: Iterator[ArchiveMatch], cap: int) -> Iterator[ArchiveMatch]:
        found = list(itertools.islice(matches, cap + 1))
        if len(found) > cap:
            raise RefusedError(self._behaviour.cap_status, "Too many matches")
        return iter(found)

    def _repeated(self, matches: Iterator[ArchiveMatch]) -> Iterator[ArchiveMatch]:
        every = self._behaviour.duplicate_every
        for number, match in enumerate(matches, start=1):
            yield match
            if every and number % every == 0:
                yield match

    def _fault_at(self, number: int, match: ArchiveMatch) -> Fault | None:
        fault = self._fault
        if fault is not None and number == fault.after_responses:
            return fault
        return self._watch(match)

    def _capped(self) -> int | None:
        effect = self._behaviour.cap_effect
        if effect == "silent":
            return SUCCESS
        if effect in {"abort", "never_answer"}:
            self._flush()
            if effect == "abort":
                self._connection.abort()
            return None
        return _RESPONSE_LIMIT_WARNING if effect == "warn" else self._behaviour.cap_status

    def _is_cancelled(self) -> bool:
        return self._behaviour.cancel == "honoured" and self._connection.is_cancelled(self._message_id)

    def _interrupts(self, fault: Fault) -> bool:
        """Let a fault strike between two responses; return whether the request ends with it."""
        if fault.kind in RESPONSE_FAULTS:
            return False
        self._flush()
        return fault.kind == "status" or strike_down(self._connection, fault)

    def _send_match(self, match: ArchiveMatch, encoder: ResponseEncoder, fault: Fault | None) -> None:
        encoded: bytes | None
        if fault is None or fault.kind not in RESPONSE_FAULTS:
            encoded = encoder.encode(match)
        else:
            encoded = _spoiled(match, encoder, fault)
        if encoded is not None:
            self._batch += dimse_message.message(
                self._context_id, self._pending, encoded, self._maximum_length
            )
        if self._behaviour.answer_delay_s:
            self._connection.pause(self._behaviour.answer_delay_s)
            self._flush()
        elif len(self._batch) >= _BATCH_BYTES:
            self._flush()

    def _flush(self) -> None:
        if self._batch:
            batch, self._batch = bytes(self._batch), bytearray()
            self._connection.send_pdus(batch)

    def _command(self, status: int, *, has_data_set: bool, comment: str | None = None) -> bytes:
        elements: list[tuple[int, int | str]] = [
            (dimse_message.AFFECTED_SOP_CLASS_UID, self._sop_class_uid),
            (dimse_message.COMMAND_FIELD, dimse_message.C_FIND_RSP),
            (dimse_message.MESSAGE_ID_RESPONDED_TO, self._message_id),
            (dimse_message.STATUS, status),
        ]
        if comment:
            elements.append((dimse_message.ERROR_COMMENT, comment))
        return dimse_message.command_set(elements, has_data_set=has_data_set)

    def _finish(self, status: int, comment: str | None = None) -> None:
        self._flush()
        self._outcome.finish(status)
        self._connection.send(self._context_id, self._command(status, has_data_set=False, comment=comment))


def _spoiled(match: ArchiveMatch, encoder: ResponseEncoder, fault: Fault) -> bytes | None:
    """Return the response that a fault makes of a match, None for one that is never sent."""
    spoil = {
        "bad_data_set": encoder.broken,
        "many_modalities": encoder.with_many_modalities,
        "missing_study_uid": encoder.without_study_uid,
        "missing_uid": encoder.without_uid,
        "unknown_character_set": encoder.with_unknown_character_set,
        "wrong_character_set": encoder.with_wrong_character_set,
    }.get(fault.kind)
    return None if spoil is None else spoil(match)
