"""A port that swallows packets: a connection to it is neither taken nor refused."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

#: Connections that fill the backlog of a listening socket that accepts none.
_FILLING = 8


@contextlib.contextmanager
def swallowing_port() -> Iterator[int]:
    """Give a port of 127.0.0.1 at which every connection hangs until its time-out."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(_FILLING):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
