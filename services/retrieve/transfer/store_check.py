"""Tries the store node of a retrieve where nothing arrives, and holds new moves while our own is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import structlog

from services.retrieve.context import RetrieveContext
from services.retrieve.transfer.own_store import OwnStore
from shared.clock import Clock
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import NotNowError, Outcome, PeerError, StoreError
from shared.node_access.pool import AssociationPool

log = structlog.get_logger(__name__)

#: After this time a held move is tried anew: a heartbeat may have come, or the pool allows a C-ECHO.
AGAIN_AFTER = timedelta(seconds=3)

#: How contact with a store ends that is not there, or hangs; whatever else it does, it responds.
_NOT_THERE = frozenset(
    {Outcome.CONNECTION_REFUSED, Outcome.HOST_NOT_FOUND, Outcome.TIMED_OUT, Outcome.ABORTED}
)


class StoreCheck:
    """Sends C-ECHO to store nodes, which the pool spaces over all workers; thread-safe.

    Our own store is there as well if it sends heartbeats: the way to it may be barred for us, and open to the
    PACS.
    """

    def __init__(
        self,
        pool: AssociationPool,
        own_store: OwnStore,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._own_store = own_store
        self._clock = clock
        self._monotonic = monotonic
        self._silent_since: float | None = None

    def admit(self, context: RetrieveContext, cancellation: Cancellation) -> None:
        """Return if objects may be requested; the store is only tried if it did not respond before.

        Raises:
            NotNowError: our own store does not respond.
            StoreError: another store does not, to which we send what comes.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        if context.own_store and (context.store_away or self._silent_since is not None):
            self.check(context, cancellation)
        elif context.fetch and context.store_away:
            error = self._error_of(context, cancellation)
            if error is not None and error.outcome in _NOT_THERE:
                away = StoreError(error)
                away.retry_at = error.retry_at
                raise away

    def check(self, context: RetrieveContext, cancellation: Cancellation) -> None:
        """Return if the store responds, or is not ours.

        Raises:
            NotNowError: it does not respond.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        if not context.own_store:
            return
        if self._own_store.has_beaten_since(self._silent_since):
            self._own_store.note_away(is_away=False)
            return
        error = self._error_of(context, cancellation)
        if error is not None and error.outcome in _NOT_THERE:
            raise self._wait(error) from error
        self._silent_since = None
        self._own_store.note_away(is_away=False)

    def retry(self, context: RetrieveContext, error: PeerError, cancellation: Cancellation) -> PeerError:
        """Return the error after which a task is tried again; one of our association with a store knows when.

        Raises:
            NotNowError: our own store does not respond.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        if isinstance(error, StoreError):
            self.check(context, cancellation)
            if not context.own_store and (failure := self._error_of(context, cancellation)) is not None:
                error.retry_at = failure.retry_at
        return error

    def _error_of(self, context: RetrieveContext, cancellation: Cancellation) -> PeerError | None:
        """Return why the store node does not respond to a C-ECHO; None: it does."""
        try:
            self._pool.echo(replace(context.store, node_id=context.store_id), cancellation)
        except NotNowError:
            raise
        except PeerError as error:
            return error
        return None

    def _wait(self, error: PeerError) -> NotNowError:
        if self._silent_since is None:
            self._silent_since = self._monotonic()
            log.warning("own store does not respond", error=error.code)
        self._own_store.note_away(is_away=True)
        note = f"new moves wait until DoseQR's own store responds again: {error}"
        return NotNowError(self._clock() + AGAIN_AFTER, note, whole_node=True)
