"""Fetching the objects of one C-GET: what to negotiate for, and the request itself."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from pydicom.dataset import Dataset
from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session

from services.retrieve.context import Facts
from services.retrieve.ledger.selection import KEEP
from shared.database.models import QueryObject, QuerySeries
from shared.database.session import Database
from shared.dicom.association.c_get import Fetched, get
from shared.dicom.association.sub_operations import SubOperations
from shared.dicom.cancellation import Cancellation
from shared.dicom.sop_classes import STUDY_ROOT_GET, classes_for
from shared.identifiers import Uid
from shared.node_access.pool import LinkPool

#: Jobs whose classes are kept in mind; forgetting one costs two statements.
_REMEMBERED = 100


class Fetcher:
    """Sends C-GETs over associations that are negotiated for what a job wants."""

    def __init__(self, database: Database, links: LinkPool) -> None:
        self._database = database
        self._links = links
        self._contexts: OrderedDict[str, tuple[str, ...]] = OrderedDict()

    def fetch(
        self,
        facts: Facts,
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
        with self._links.link(facts.remote, self._contexts_of(facts), cancellation) as link:
            return get(link, identifier, facts.store, self._links.timeouts, on_progress, cancellation)

    def _contexts_of(self, facts: Facts) -> tuple[str, ...]:
        contexts = self._contexts.get(facts.job_id)
        if contexts is None:
            with self._database.read() as session:
                contexts = (STUDY_ROOT_GET, *wanted_classes(session, facts.query_id))
            self._contexts[facts.job_id] = contexts
            while len(self._contexts) > _REMEMBERED:
                self._contexts.popitem(last=False)
        return contexts


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
