"""The limit of a store: a bare socket, and the same files written, synced and renamed, nothing else.

`python -m tests.bench.bare_store PORT FOLDER [names]` listens; `send` hands it files. Each file goes over the
wire as its length and its bytes, and gets one byte back once it is on disk; with `names` its folder is
synced, too, without which a power failure may take the file's new name. Each sender has a folder.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path

_LENGTH = struct.Struct(">L")
_NUMBERS = count()
_RECEIVE_BYTES = 1 << 18


def listen(port: int, folder: Path, *, sync_names: bool) -> None:
    """Take connections until the process ends; each has a thread and a folder."""
    (folder / "incoming").mkdir(parents=True)
    numbers = count()
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            own = folder / "kept" / str(next(numbers))
            own.mkdir(parents=True)
            threading.Thread(target=_take, args=(connection, own, sync_names), daemon=True).start()


def _take(connection: socket.socket, folder: Path, sync_names: bool) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while head := connection.recv(_LENGTH.size, socket.MSG_WAITALL):
            (size,) = _LENGTH.unpack(head)
            _keep(folder, _read(connection, size))
            if sync_names:
                _sync(folder)
            connection.sendall(b"\0")


def _read(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        view = view[connection.recv_into(view, min(len(view), _RECEIVE_BYTES)) :]
    return data


def _keep(folder: Path, data: bytearray) -> None:
    name = f"{next(_NUMBERS)}.dcm"
    written = folder.parents[1] / "incoming" / name
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, data)
    os.fsync(descriptor)
    os.close(descriptor)
    written.rename(folder / name)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(descriptor)
    os.close(descriptor)


def send(port: int, files: Sequence[Path]) -> None:
    """Hand over files on one connection, one after the other."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for file in files:
            data = file.read_bytes()
            connection.sendall(_LENGTH.pack(len(data)) + data)
            assert connection.recv(1) == b"\0"


if __name__ == "__main__":
    listen(int(sys.argv[1]), Path(sys.argv[2]), sync_names="names" in sys.argv[3:])
