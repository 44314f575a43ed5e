"""A C-STORE SCU made of bytes: sends whatever a test wants, right or wrong."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

APPLICATION_CONTEXT = b"1.2.840.10008.3.1.1.1"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT = "1.2.840.10008.1.2"

Context = tuple[str, tuple[str, ...]]


class EndedError(Exception):
    """The peer rejected, aborted or closed."""


def pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBL", kind, 0, len(body)) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def element(number: int, value: bytes) -> bytes:
    padded = value + b"\0" * (len(value) % 2)
    return struct.pack("<HHL", 0, number, len(padded)) + padded


@dataclass
class Scu:
    """One association; `contexts` are proposed in this order."""

    port: int
    contexts: list[Context]
    calling_ae_title: str = "TEST"
    max_fragment: int = 16000
    timeout_s: float = 30.0
    tls: ssl.SSLContext | None = None
    #: The address that it calls from.
    source: str = "127.0.0.1"
    accepted: dict[Context, tuple[int, str]] = field(default_factory=dict)
    message_id: int = 0

    def __enter__(self) -> Self:
        self.socket: socket.socket = socket.create_connection(
            ("127.0.0.1", self.port), timeout=self.timeout_s, source_address=(self.source, 0)
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._associate()
        except BaseException:
            self.socket.close()
            raise
        return self

    def _associate(self) -> None:
        if self.tls is not None:
            self.socket = self.tls.wrap_socket(self.socket, server_hostname="localhost")
        self.socket.sendall(pdu(1, self.request()))
        kind, body = self.read_pdu()
        if kind != 2:
            raise EndedError(f"answered with PDU type {kind}: {body.hex()}")
        self._read_acceptance(body)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def request(self) -> bytes:
        """Return the variable field of the A-ASSOCIATE-RQ."""
        items = item(0x10, APPLICATION_CONTEXT)
        for number, (abstract, transfers) in enumerate(self.contexts):
            body = struct.pack("BBBB", 2 * number + 1, 0, 0, 0) + item(0x30, abstract.encode())
            items += item(0x20, body + b"".join(item(0x40, transfer.encode()) for transfer in transfers))
        items += item(0x50, item(0x51, struct.pack(">L", 16384)) + item(0x52, b"1.2.3"))
        called, calling = b"ANY".ljust(16), self.calling_ae_title.encode().ljust(16)
        return struct.pack(">HH", 1, 0) + called + calling + bytes(32) + items

    def _read_acceptance(self, body: bytes) -> None:
        at = 68
        while at < len(body):
            kind, length = struct.unpack_from(">BxH", body, at)
            if kind == 0x21:
                number, result = body[at + 4], body[at + 6]
                (size,) = struct.unpack_from(">H", body, at + 10)
                if result == 0:
                    syntax = body[at + 12 : at + 12 + size].decode()
                    self.accepted[self.contexts[number // 2]] = (number, syntax)
            at += 4 + length

    def read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EndedError("closed")
            data += more
        return data

    def read_pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxL", self.read_exactly(6))
        return kind, self.read_exactly(length)

    def send_fragments(self, context_id: int, flag: int, data: bytes, *, last: bool = True) -> None:
        steps = range(0, max(len(data), 1), self.max_fragment)
        for start in steps:
            part = data[start : start + self.max_fragment]
            end = 2 if last and start + self.max_fragment >= len(data) else 0
            self.socket.sendall(pdu(4, struct.pack(">LBB", len(part) + 2, context_id, flag | end) + part))

    def command(
        self, sop_class_uid: str | None, sop_instance_uid: str | None, *, field: int = 1, data: bool = True
    ) -> bytes:
        self.message_id += 1
        parts = element(0x0100, struct.pack("<H", field)) + element(
            0x0110, struct.pack("<H", self.message_id)
        )
        if sop_class_uid is not None:
            parts = element(0x0002, sop_class_uid.encode()) + parts
        if field == 1:
            parts += element(0x0700, struct.pack("<H", 0))
        parts += element(0x0800, struct.pack("<H", 1 if data else 0x0101))
        if sop_instance_uid is not None:
            parts += element(0x1000, sop_instance_uid.encode())
        return element(0, struct.pack("<L", len(parts))) + parts

    def receive_response(self) -> tuple[int, str]:
        kind, body = self.read_pdu()
        if kind != 4:
            raise EndedError(f"PDU type {kind}")
        elements, at = {}, 6
        while at < len(body):
            _group, number, length = struct.unpack_from("<HHL", body, at)
            elements[number] = body[at + 8 : at + 8 + length]
            at += 8 + length
        comment = elements.get(0x0902, b"").decode().strip()
        return int(struct.unpack("<H", elements[0x0900])[0]), comment

    def begin_store(
        self, context: Context, sop_class_uid: str | None, sop_instance_uid: str | None, data_set: bytes
    ) -> None:
        context_id = self.accepted[context][0]
        self.send_fragments(context_id, 1, self.command(sop_class_uid, sop_instance_uid))
        self.send_fragments(context_id, 0, data_set)

    def store(
        self, context: Context, sop_class_uid: str | None, sop_instance_uid: str | None, data_set: bytes
    ) -> tuple[int, str]:
        """Send one C-STORE request and return status code and error comment."""
        self.begin_store(context, sop_class_uid, sop_instance_uid, data_set)
        return self.receive_response()

    def echo(self) -> int:
        context_id = self.accepted[(VERIFICATION, (IMPLICIT,))][0]
        self.send_fragments(context_id, 1, self.command(VERIFICATION, None, field=0x30, data=False))
        return self.receive_response()[0]

    def release(self) -> None:
        self.socket.sendall(pdu(5, bytes(4)))
        kind, _body = self.read_pdu()
        if kind != 6:
            raise EndedError(f"PDU type {kind}")
