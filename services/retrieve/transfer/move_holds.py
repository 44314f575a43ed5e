"""Everything that holds the moves of a retrieve back, so that no PACS sends what cannot be taken."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.retrieve.context import RetrieveContext
from services.retrieve.planning.arrivals import Arrivals
from services.retrieve.planning.attempts import DESTINATION_UNKNOWN, MoveAttempts
from services.retrieve.transfer.back_pressure import BackPressure
from services.retrieve.transfer.fruitless_requests import FruitlessRequests
from services.retrieve.transfer.store_check import StoreCheck
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import PeerError


class MoveHolds:
    """Decides before the requests of a task what may be requested, and after them what follows."""

    def __init__(
        self, back_pressure: BackPressure, store_check: StoreCheck, fruitless: FruitlessRequests
    ) -> None:
        self._back_pressure = back_pressure
        self._store_check = store_check
        self._fruitless = fruitless

    @contextmanager
    def turn(self, context: RetrieveContext, cancellation: Cancellation) -> Iterator[bool]:
        """Return for the time of the requests whether only a single object may be requested.

        Raises:
            NotNowError: nothing may be requested now.
            StoreError: the store node is away to which we send what comes.
            FruitlessError: nothing came for so long that the job is to end.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        self._back_pressure.check(context)
        self._store_check.admit(context, cancellation)
        with self._fruitless.turn(context) as is_single:
            yield is_single

    def check(
        self,
        context: RetrieveContext,
        attempts: MoveAttempts,
        arrivals: Arrivals,
        cancellation: Cancellation,
        *,
        is_single: bool,
    ) -> None:
        """Return if the requests of a task are to be taken as they ended; the same task is tried again else.

        Raises:
            NotNowError: nothing arrived since our own store is away, or the single object did not come.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        if not attempts.attempts:
            return
        brought_nothing = attempts.are_fruitless and not arrivals
        last = attempts.attempts[-1].response
        self._fruitless.note(context.job_id, brought_nothing=brought_nothing, refusal=last.refusal)
        if not brought_nothing or last.status_code == DESTINATION_UNKNOWN:
            return
        self._store_check.check(context, cancellation)
        wait = self._fruitless.wait(context) if is_single else None
        if wait is not None:
            raise wait

    def retry(self, context: RetrieveContext, error: PeerError, cancellation: Cancellation) -> PeerError:
        """Return the error after which a task is tried again.

        Raises:
            NotNowError: our own store does not respond.
            InterruptedWorkError: the work was stopped.
            DatabaseAwayError: the database is away.
        """
        return self._store_check.retry(context, error, cancellation)
