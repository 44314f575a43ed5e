"""Queries the parts of long lists one after another, whichever replica of the service is there.

The rows say what has begun: a part is taken with its list locked, and its query has an id that follows from
both. A replica that dies between the two leaves a part without a query, and any other begins it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog

from shared.clock import Clock
from shared.contract.messages import BACKGROUND, RunQuery
from shared.database.session import Database
from shared.errors import InvalidInputError
from shared.process.periodic import PeriodicWork, has_no_defect
from shared.study_lists.ledger import PartOrder, fail_list, next_step, open_lists

log = structlog.get_logger(__name__)

#: Seconds between two searches for parts that may begin.
TICK_S = 2.0

#: Begins a query, or goes on with it: `QueryHandler.begin`.
BeginQuery = Callable[[str, RunQuery], None]
#: Cancels a query, in somebody's name: `QueryHandler.cancel_by`.
CancelQuery = Callable[[str, str], None]


class LongListFeeder(PeriodicWork):
    """Begins the next parts of each list as others end."""

    def __init__(
        self, database: Database, begin_query: BeginQuery, cancel_query: CancelQuery, clock: Clock
    ) -> None:
        super().__init__("study lists", TICK_S)
        self._database = database
        self._order = begin_query
        self._cancel = cancel_query
        self._clock = clock

    def tick(self) -> None:
        """Do for each list what is to be done now.

        Raises:
            RetriableError: the database or the broker is away; what was not done is done by the next tick.
        """
        with self._database.read_outside() as session:
            lists = open_lists(session)
        for list_id in lists:
            has_no_defect(partial(self._go_on, list_id), list_id=list_id)

    def _go_on(self, list_id: str) -> None:
        with self._database.write() as session:
            step = next_step(session, list_id, self._clock())
        for job_id in step.cancel:
            self._cancel(job_id, step.cancelled_by)
        for part in step.begin:
            self._begin(list_id, part)

    def _begin(self, list_id: str, part: PartOrder) -> None:
        command = RunQuery(
            remote=part.remote_id,
            store=part.store_id,
            criteria=part.criteria,
            requested_by=part.requested_by,
            retrieve=part.retrieve,
            priority=BACKGROUND,
        )
        try:
            self._order(part.job_id, command)
        except InvalidInputError as error:
            log.warning("list cannot go on", list_id=list_id, error=str(error))
            problem = f"{error.field.removeprefix('data.')}: {error.problem}"
            with self._database.write() as session:
                fail_list(session, list_id, f"The query could not begin: {problem}.", self._clock())
