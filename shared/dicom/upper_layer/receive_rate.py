"""The patience with a sender within a request: one below a least rate is given up. Pure."""

from __future__ import annotations

#: Bytes a second that a sender has to send on average; a telephone line has five times as many.
LEAST_BYTES_PER_S = 1000.0


class ReceiveRate:
    """Patience in seconds: waiting uses it up, and bytes that come give it back, up to the whole of it.

    So a sender may pause for nearly `patience_s`, and may be slow, but cannot keep a place for ever with a
    byte now and then.
    """

    def __init__(self, patience_s: float, bytes_per_s: float = LEAST_BYTES_PER_S) -> None:
        self._patience_s = patience_s
        self._bytes_per_s = bytes_per_s
        self.left_s = patience_s

    def begin(self) -> None:
        """Begin anew with all the patience there is."""
        self.left_s = self._patience_s

    def came(self, size_bytes: int, waited_s: float) -> None:
        """Note bytes, and how long they were waited for."""
        left_s = self.left_s - waited_s + size_bytes / self._bytes_per_s
        self.left_s = min(left_s, self._patience_s)
