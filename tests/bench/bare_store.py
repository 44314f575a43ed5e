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

from shared.dicom.upper_layer.data_elements import Buffer

_LENGTH = struct.Struct(">L")
_RECEIVE_BYTES = 1 << 18


class SyncedFiles:
    """Writes files as a store has to, and nothing else: written, synced, renamed; safe for many threads."""

    def __init__(self, root: Path) -> None:
        self._kept, self._incoming = root / "kept", root / "incoming"
        self._incoming.mkdir(parents=True)
        self._folders, self._files = count(), count()

    def make_folder(self) -> Path:
        """Return a new folder for files."""
        folder = self._kept / str(next(self._folders))
        folder.mkdir(parents=True)
        return folder

    def keep(self, folder: Path, *parts: Buffer, sync_name: bool) -> None:
        """Write a file of these parts; `sync_name`: its name survives a power failure, too."""
        name = f"{next(self._files)}.dcm"
        written = self._incoming / name
        descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.writev(descriptor, parts)
        os.fsync(descriptor)
        os.close(descriptor)
        written.rename(folder / name)
        if sync_name:
            _sync(folder)


def listen(port: int, files: SyncedFiles, *, sync_names: bool) -> None:
    """Take connections until the process ends; each has a thread and a folder."""
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=_take, args=(connection, files, sync_names), daemon=True).start()


def _take(connection: socket.socket, files: SyncedFiles, sync_names: bool) -> None:
    folder = files.make_folder()
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with connection:
        while head := connection.recv(_LENGTH.size, socket.MSG_WAITALL):
            (size,) = _LENGTH.unpack(head)
            files.keep(folder, _read(connection, size), sync_name=sync_names)
            connection.sendall(b"\0")


def _read(connection: socket.socket, size: int) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        view = view[connection.recv_into(view, min(len(view), _RECEIVE_BYTES)) :]
    return data


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
    listen(int(sys.argv[1]), SyncedFiles(Path(sys.argv[2])), sync_names="names" in sys.argv[3:])
