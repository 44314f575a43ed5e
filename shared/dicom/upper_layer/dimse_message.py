"""Puts the fragments of DIMSE messages together (PS3.7 6.3, PS3.8 E): command set, then data set. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from shared.dicom.upper_layer.dimse_command import (
    COMMAND_DATA_SET_TYPE,
    MAX_COMMAND_BYTES,
    NO_DATA_SET,
    decode_command,
    number_of,
)
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import COMMAND, LAST, Pdv

#: Longest data set that is kept in memory; identifiers of responses have some hundred bytes.
MAX_DATA_SET_BYTES = 1 << 24


class DataSetSink(Protocol):
    """Takes a data set as it comes, for those who do not want it in memory."""

    def add(self, fragment: bytes) -> None:
        """Take the next fragment."""
        ...


class DimseMessage(NamedTuple):
    """One message of a peer; the command set by element number, and the data set where there is one.

    A data set that went to a sink is there alone.
    """

    context_id: int
    command: dict[int, bytes]
    data_set: bytes | None
    sink: DataSetSink | None = None


class MessageAssembler:
    """Takes presentation data values in their order and returns whole messages."""

    def __init__(
        self, sink_for: Callable[[int, Mapping[int, bytes]], DataSetSink | None] | None = None
    ) -> None:
        """`sink_for` returns where the data set of a message goes, from its context ID and command set.

        Without a sink it is kept in memory.
        """
        self._sink_for = sink_for
        self._sink: DataSetSink | None = None
        self._command = bytearray()
        self._data_set = bytearray()
        #: The command set of the message whose data set is awaited.
        self._decoded: dict[int, bytes] | None = None
        self._context_id: int | None = None
        # Command sets of pending responses are all the same.
        self._last: tuple[bytes, dict[int, bytes]] = (b"", {})

    @property
    def in_progress(self) -> bool:
        """Whether a message has begun that is not complete."""
        return self._context_id is not None

    @property
    def awaited(self) -> dict[int, bytes] | None:
        """The command set of a message whose data set is announced and has not begun, if there is one."""
        return self._decoded if not self._data_set else None

    def without_data_set(self) -> DimseMessage:
        """Return the message whose data set is awaited as one that has none."""
        return self._complete(None)

    def add(self, pdv: Pdv) -> DimseMessage | None:
        """Return the message that a fragment completes, None if it completes none.

        Raises:
            ProtocolError: the fragment does not follow those before, or the message is too long.
        """
        if self._context_id is None:
            self._context_id = pdv.context_id
        elif pdv.context_id != self._context_id:
            raise ProtocolError("a fragment of another presentation context within a message")
        if pdv.header & COMMAND:
            return self._add_command(pdv)
        return self._add_data_set(pdv)

    def _add_command(self, pdv: Pdv) -> DimseMessage | None:
        if self._decoded is not None:
            raise ProtocolError("a command set in place of a data set")
        if len(self._command) + len(pdv.fragment) > MAX_COMMAND_BYTES:
            raise ProtocolError("a command set is longer than any that is accepted")
        self._command += pdv.fragment
        if not pdv.header & LAST:
            return None
        self._decoded = self._decode(bytes(self._command))
        self._command.clear()
        if number_of(self._decoded, COMMAND_DATA_SET_TYPE) == NO_DATA_SET:
            return self._complete(None)
        if self._sink_for is not None:
            self._sink = self._sink_for(pdv.context_id, self._decoded)
        return None

    def _decode(self, encoded: bytes) -> dict[int, bytes]:
        if self._last[0] != encoded:
            self._last = (encoded, decode_command(encoded))
        return self._last[1]

    def _add_data_set(self, pdv: Pdv) -> DimseMessage | None:
        if self._decoded is None:
            raise ProtocolError("a data set without a command set")
        if self._sink is not None:
            self._sink.add(pdv.fragment)
            return self._complete(None) if pdv.header & LAST else None
        if pdv.header & LAST and not self._data_set:
            return self._complete(pdv.fragment)
        if len(self._data_set) + len(pdv.fragment) > MAX_DATA_SET_BYTES:
            raise ProtocolError("a data set is longer than any that is accepted")
        self._data_set += pdv.fragment
        return self._complete(bytes(self._data_set)) if pdv.header & LAST else None

    def _complete(self, data_set: bytes | None) -> DimseMessage:
        assert self._decoded is not None
        assert self._context_id is not None
        message = DimseMessage(self._context_id, self._decoded, data_set, self._sink)
        self._decoded = self._context_id = self._sink = None
        self._data_set.clear()
        return message
