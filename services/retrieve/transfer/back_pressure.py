"""Holds new moves into DoseQR's own store while the store, or the importer behind it, cannot keep up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily

from services.retrieve.context import RetrieveContext
from services.retrieve.transfer.own_store import OwnStore
from shared.clock import Clock
from shared.database.session import Database
from shared.dicom.errors import NotNowError
from shared.errors import RetriableError
from shared.reading.store.handovers import waiting_objects

#: After this time a held move is tried anew; heartbeats of the store come as often.
AGAIN_AFTER = timedelta(seconds=10)
#: Seconds for which a count of the outbox holds for all tasks of the process.
COUNT_LASTS_S = 2.0


class BackPressure:
    """Decides whether moves may begin; thread-safe."""

    def __init__(
        self,
        own_store: OwnStore,
        database: Database,
        clock: Clock,
        *,
        backlog: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`backlog`: objects that may wait for the importer; 0: any number."""
        self._own_store = own_store
        self._database = database
        self._clock = clock
        self._backlog = backlog
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counted = 0
        self._counted_at = float("-inf")

    def check(self, context: RetrieveContext) -> None:
        """Return if objects may be requested for a retrieve.

        Raises:
            NotNowError: the store or its importer has to catch up first.
            DatabaseAwayError: the database is away.
        """
        note = (self._store_note() or self._importer_note()) if context.own_store else ""
        if note:
            raise NotNowError(self._clock() + AGAIN_AFTER, note, whole_node=True)

    def metrics(self) -> Iterator[Metric]:
        """Yield what holds moves; nothing of the importer while the database is away."""
        held = GaugeMetricFamily(
            "doseqr_moves_held", "Whether new moves into the own store wait", labels=["reason"]
        )
        held.add_metric(["store"], self._own_store.is_away or bool(self._store_note()))
        try:
            held.add_metric(["importer"], bool(self._importer_note()))
        except RetriableError:
            return
        yield held

    def _store_note(self) -> str:
        shortage = self._own_store.shortage
        return f"new moves wait until DoseQR's own store has space again: {shortage}" if shortage else ""

    def _importer_note(self) -> str:
        if not self._backlog:
            return ""
        number = self._waiting()
        if number <= self._backlog:
            return ""
        return f"new moves wait for the importer, which is behind: {number} objects are to be handed over"

    def _waiting(self) -> int:
        with self._lock:
            if self._monotonic() - self._counted_at >= COUNT_LASTS_S:
                with self._database.read() as session:
                    self._counted = waiting_objects(session)
                self._counted_at = self._monotonic()
            return self._counted
