"""Stop signals without a race: a thread sets the event, never a signal handler.

A handler runs between two steps of the main thread, whatever that is doing. If it set the event that the main
thread is about to wait for, it could block on that event's own lock, or come when the wait has checked the
event; either way the process would outlive its SIGTERM.
"""

from __future__ import annotations

import itertools
import signal
import socket
import threading
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def stop_on_signals(stop: threading.Event) -> None:
    """Set `stop` on SIGTERM or SIGINT; a second signal ends the process at once, with 128 and its number.

    Raises:
        ValueError: called from another thread than the main one.
    """
    counted = itertools.count(1)

    def impatient(number: int, _frame: FrameType | None) -> None:
        if next(counted) > 1:
            raise SystemExit(128 + number)

    for number in STOP_SIGNALS:
        signal.signal(number, impatient)
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_pass_on, args=(receiver, sender, stop), name="signals", daemon=True).start()


def _pass_on(receiver: socket.socket, sender: socket.socket, stop: threading.Event) -> None:
    with receiver, sender:
        while number := receiver.recv(1):
            if number[0] in STOP_SIGNALS:
                stop.set()
