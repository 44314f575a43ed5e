"""Ports for servers that a test starts, and may start again."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import socket
from collections.abc import Iterator

from services.cli.local.ports import HIGHEST, KERNELS_RANGE, LOWEST

#: Ports that are handed to one process in a row; as many as a health check looks at.
BLOCK = 5
_NONE_LEFT = "this run has used all of its ports"
#: Connections that fill the backlog of a listening socket that accepts none.
_FILLING = 8


def free_port() -> int:
    """Return a free TCP port that the kernel gives to no connection while its server is down.

    Nor is it given again: neither by this process nor by another of the same run (pytest -n), since a test
    may take a port long before its server listens there.
    """
    for port in _ports:
        if _is_free(port):
            return port
    raise AssertionError(_NONE_LEFT)


def free_block() -> range:
    """Return free ports in a row; nothing else of this run listens at any of them."""
    for block in _blocks:
        if all(map(_is_free, block)):
            return block
    raise AssertionError(_NONE_LEFT)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@contextlib.contextmanager
def swallowing_port() -> Iterator[int]:
    """Give a port of 127.0.0.1 that swallows packets: a connection to it hangs until its time-out."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(_FILLING):
            filling = stack.enter_context(socket.socket())
            filling.setblocking(False)
            filling.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


def _blocks_of_this_process() -> Iterator[range]:
    lowest, highest = map(int, KERNELS_RANGE.read_text(encoding="ascii").split())
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    starts = [*range(LOWEST, lowest - BLOCK, BLOCK), *range(highest + 1, HIGHEST - BLOCK, BLOCK)]
    mine = starts[number::processes]
    random.SystemRandom().shuffle(mine)
    for start in mine:
        yield range(start, start + BLOCK)


_blocks = _blocks_of_this_process()
_ports = itertools.chain.from_iterable(_blocks)
