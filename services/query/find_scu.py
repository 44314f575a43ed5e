"""The C-FIND SCU of the query service: complete results or an error, and a record of every C-FIND."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from pydicom.dataset import Dataset

from services.query.futile_search import FailureLimit
from services.query.ledger.finds import FindLog, FindRecord
from services.query.profile.learner import Learner
from services.query.profile.refused_keys import find_without_refused_keys, may_be_the_keys
from shared.clock import Clock
from shared.dicom.cancellation import Cancellation
from shared.dicom.errors import Outcome, PeerError
from shared.dicom.peer import Peer
from shared.dicom.query.identifiers import (
    image_identifier,
    relational_image_identifier,
    relational_series_identifier,
    series_identifier,
    without,
)
from shared.dicom.query.matches import (
    FindResult,
    Match,
    ObjectMatch,
    RelationalMatch,
    SeriesMatch,
    StudyMatch,
    object_match,
    objects_of_series,
    relational_match,
    series_match,
    series_of_study,
    study_match,
)
from shared.node_access.archive import ArchiveAccess

T = TypeVar("T")


class OtherParentError(PeerError):
    """All matches below a study or series name another one: nothing follows about what it holds."""

    def __init__(self, detail: str) -> None:
        super().__init__(Outcome.BAD_RESPONSE, detail, permanent=True)


class FindScu:
    """Sends C-FIND requests, or QIDO-RS requests with the same meaning, to one peer; used by one thread.

    Each method raises `PeerError` if there is no association, and `InterruptedWorkError` if stopping was
    requested; where it returns a `FindResult`, any other failure stands in the result.
    """

    def __init__(
        self,
        pool: ArchiveAccess,
        peer: Peer,
        cancellation: Cancellation,
        clock: Clock,
        learner: Learner,
        log: FindLog,
        limit: FailureLimit,
    ) -> None:
        self._pool = pool
        self._peer = peer
        self._cancellation = cancellation
        self._clock = clock
        self._learner = learner
        self._log = log
        self._limit = limit

    def find_studies(
        self, identifier: Dataset, *, record_keys: Mapping[str, object], control: bool = False
    ) -> FindResult[StudyMatch]:
        """Find studies; `control`: only to compare them with those of another request."""
        return self._find("STUDY", identifier, record_keys, study_match, control=control)

    def find_series(self, study_instance_uid: str) -> Sequence[SeriesMatch]:
        """Return the series of a study.

        Raises:
            PeerError: the result is not complete.
        """
        identifier = series_identifier([study_instance_uid])
        keys = {"study_instance_uid": study_instance_uid}
        matches = self._find("SERIES", identifier, keys, series_match).complete_matches()
        own = series_of_study(matches, study_instance_uid)
        if matches and not own:
            detail = (
                f"series of one study were requested: {len(matches)} came, and all of them name another study"
            )
            raise OtherParentError(detail)
        return own

    def find_objects(self, study_instance_uid: str, series_instance_uid: str) -> Sequence[ObjectMatch]:
        """Return the objects of a series.

        Raises:
            PeerError: the result is not complete.
        """
        identifier = image_identifier([study_instance_uid], [series_instance_uid])
        keys = {"study_instance_uid": study_instance_uid, "series_instance_uid": series_instance_uid}
        matches = self._find("IMAGE", identifier, keys, object_match).complete_matches()
        own = objects_of_series(matches, series_instance_uid)
        if matches and not own:
            objects = len(matches)
            detail = (
                f"objects of one series were requested: {objects} came, and all of them name another series"
            )
            raise OtherParentError(detail)
        return own

    def find_series_of_studies(self, study_instance_uids: Sequence[str]) -> FindResult[SeriesMatch]:
        """Find the series of many studies with a list of UIDs."""
        keys = {"study_instance_uids": list(study_instance_uids)}
        return self._find("SERIES", series_identifier(study_instance_uids), keys, series_match)

    def find_objects_of_series(
        self, study_instance_uids: Sequence[str], series_instance_uids: Sequence[str]
    ) -> FindResult[ObjectMatch]:
        """Find the objects of many series with lists of UIDs."""
        keys = {
            "study_instance_uids": list(study_instance_uids),
            "series_instance_uids": list(series_instance_uids),
        }
        identifier = image_identifier(study_instance_uids, series_instance_uids)
        return self._find("IMAGE", identifier, keys, object_match)

    @property
    def is_web(self) -> bool:
        """Whether the peer is searched by QIDO-RS."""
        return self._peer.web is not None

    @property
    def takes_relational_searches(self) -> bool:
        """Whether objects may be searched for without naming their series: QIDO-RS has no hierarchy."""
        return self.is_web

    def find_objects_of_studies(self, study_instance_uids: Sequence[str]) -> FindResult[RelationalMatch]:
        """Find all objects of many studies, with their series; for nodes that take relational searches."""
        identifier = relational_image_identifier(study_instance_uids)
        left = without(identifier, self._learner.profile.refused("IMAGE"))
        keys = {"study_instance_uids": list(study_instance_uids)}
        return self._c_find("IMAGE", left, keys, relational_match, control=False)

    def find_series_of_days(self, study_date: str) -> FindResult[SeriesMatch]:
        """Find the series of all studies of a day or range (relational queries)."""
        identifier = relational_series_identifier(study_date)
        return self._find("SERIES", identifier, {"study_date": study_date}, series_match)

    def _find(
        self,
        level: str,
        identifier: Dataset,
        keys: Mapping[str, object],
        read: Callable[[Match], T],
        *,
        control: bool = False,
    ) -> FindResult[T]:
        def find(left: Dataset) -> FindResult[T]:
            return self._c_find(level, left, keys, read, control=control)

        left = without(identifier, self._learner.profile.refused(level))
        result = find(left)
        if may_be_the_keys(result):
            result = find_without_refused_keys(self._learner, level, left, result, find)
        self._learner.observe(level, result)
        return result

    def _negotiated_peer(self) -> Peer:
        """Return the peer; relational queries are negotiated only with nodes that take no lists."""
        profile = self._learner.profile
        relational = profile.series_list == 0 and profile.relational is not False
        return replace(self._peer, relational_queries=relational)

    def _c_find(
        self,
        level: str,
        identifier: Dataset,
        keys: Mapping[str, object],
        read: Callable[[Match], T],
        *,
        control: bool,
    ) -> FindResult[T]:
        if level == "STUDY":
            self._limit.admit_request()
        with self._pool.find(self._negotiated_peer(), self._cancellation) as association:
            requested_at = self._clock()
            result = association.find(identifier, read, self._cancellation)
        self._log.add(
            FindRecord(
                level=level,
                keys=keys,
                status_code=result.status_code,
                matches=len(result.matches) + result.broken,
                duration_ms=result.duration_ms,
                error=getattr(result.error, "code", "interrupted") if result.error else "",
                asked_at=requested_at,
                control=control,
            )
        )
        return result
