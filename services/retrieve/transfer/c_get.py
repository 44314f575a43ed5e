"""Fetching the objects of one C-GET: what to negotiate for, and the request itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from pydicom.dataset import Dataset
from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from services.retrieve.context import RetrieveContext
from services.retrieve.ledger.selection import KEEP
from shared.database.models import QueryObject, QuerySeries
from shared.database.session import Database
from shared.dicom.association.c_get import Fetched
from shared.dicom.association.sub_operations import SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.sop_classes import classes_for
from shared.identifiers import Uid
from shared.node_access.pool import AssociationPool

#: Jobs whose classes are kept in mind; forgetting one costs two statements.
_REMEMBERED = 100


class GetScu:
    """Sends C-GETs over associations that are negotiated for what a job wants."""

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
        """Fetch what the identifier names, and hand it on to the store node.

        Raises:
            PeerError: there is no association, with either of the two.
            InterruptedWorkError: stopping was asked for.
            DatabaseAwayError: the database is away.
        """
        with self._pool.get(context.remote, self._classes_of(context), cancellation) as association:
            return association.c_get(
                identifier, context.store, self._pool.timeouts, on_progress, cancellation
            )

    def _classes_of(self, context: RetrieveContext) -> tuple[str, ...]:
        storage_classes = self._classes.get(context.job_id)
        if storage_classes is None:
            with self._database.read() as session:
                storage_classes = wanted_classes(session, context.query_id)
            self._classes[context.job_id] = storage_classes
            while len(self._classes) > _REMEMBERED:
                self._classes.popitem(last=False)
        return storage_classes


def wanted_classes(session: Session, query_id: str) -> tuple[str, ...]:
    """Return the storage classes of what a query kept: as it was named, else as its modality has it."""
    kept = and_(QueryObject.job_id == query_id, QueryObject.decision == KEEP)
    named = session.scalars(select(QueryObject.sop_class_uid).distinct().where(kept)).all()
    of_series = and_(
        QueryObject.job_id == QuerySeries.job_id,
        QueryObject.study_instance_uid == QuerySeries.study_instance_uid,
        QueryObject.series_instance_uid == QuerySeries.series_instance_uid,
        QueryObject.decision == KEEP,
        QueryObject.sop_class_uid != "",
    )
    unnamed = (
        select(QuerySeries.modality)
        .distinct()
        .where(QuerySeries.job_id == query_id, QuerySeries.decision == KEEP, ~exists().where(of_series))
    )
    return classes_for(
        session.scalars(unnamed).all(), [one for one in named if one and Uid.problem_of(one) is None]
    )
