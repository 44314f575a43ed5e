"""TCP options without which a response waits 40 ms for an acknowledgement."""

import socket


def send_at_once(raw: socket.socket) -> None:
    """Send small messages without waiting for more of them (TCP_NODELAY)."""
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    acknowledge_at_once(raw)


def acknowledge_at_once(raw: socket.socket) -> None:
    """Acknowledge what comes next without delay, for peers that write a message in two pieces.

    The system forgets it after a while: to be called before each wait.
    """
    quick_ack: int | None = getattr(socket, "TCP_QUICKACK", None)
    if quick_ack is not None:
        raw.setsockopt(socket.IPPROTO_TCP, quick_ack, 1)
