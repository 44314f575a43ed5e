"""C-GET: the presentation contexts to negotiate, and the request itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from pydicom.dataset import Dataset

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.selection import kept_classes
from shared.database.session import Database
from shared.dicom.association.c_get import Fetched
from shared.dicom.association.sub_operations import SubOperations
from shared.dicom.cancellation import Cancellation
from shared.node_access.pool import AssociationPool

#: Jobs whose storage classes are kept in memory; forgetting one costs two statements.
_REMEMBERED = 100


class GetScu:
    """Sends C-GETs over associations that are negotiated for what a job needs."""

    def __init__(self, database: Database, pool: AssociationPool) -> None:
        self._database = database
        self._pool = pool
        self._classes: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def fetch(
        self,
        context: RetrieveContext,
        identifier: Dataset,
        on_progress: Callable[[SubOperations], None],
        cancellation: Cancellation,
    ) -> Fetched:
        """Fetch what the identifier names, and send it on to the store node.

        Raises:
            PeerError: there is no association with one of the two.
            InterruptedWorkError: a stop was requested.
            DatabaseAwayError: the database is away.
        """
        with self._pool.get(context.remote, self._classes_of(context), cancellation) as association:
            return association.c_get(
                identifier, context.store, self._pool.timeouts, on_progress, cancellation
            )

    def _classes_of(self, context: RetrieveContext) -> tuple[str, ...]:
        classes = self._classes.get(context.job_id)
        if classes is None:
            with self._database.read() as session:
                classes = kept_classes(session, context.query_id)
            self._classes[context.job_id] = classes
            while len(self._classes) > _REMEMBERED:
                self._classes.popitem(last=False)
        return classes
