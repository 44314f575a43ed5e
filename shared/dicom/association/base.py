"""What every association has, whichever way it is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import cycle
from typing import ClassVar

from shared.dicom.peer import Peer


class Association(ABC):
    """An established association; used by one thread at a time."""

    #: What it is for, in spans; of DICOMweb the service.
    operation: ClassVar[str]

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        #: Called before each request; waits or raises where the node's limits want it.
        self.before_request: Callable[[], None] | None = None
        self._message_ids = cycle(range(1, 65536))

    @property
    @abstractmethod
    def alive(self) -> bool:
        """Whether another operation can be sent."""

    @abstractmethod
    def release(self) -> None:
        """End it in an orderly way; abort it if the peer does not follow."""

    @abstractmethod
    def abort(self) -> None:
        """Abort it: send A-ABORT if the peer takes it, and close the connection."""

    def admit(self) -> None:
        """Wait until the node's limits allow a request; before each one.

        Raises:
            NotNowError: they do not now.
            InterruptedWorkError: the work was stopped in the meantime.
        """
        if self.before_request is not None:
            self.before_request()

    def next_message_id(self) -> int:
        """Return the Message ID for the next operation (PS3.7 9.1)."""
        return next(self._message_ids)
