"""Asks the PACS at its three levels and keeps a record of every C-FIND; complete answers or an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from pydicom.dataset import Dataset

from services.query.profile.learner import Learner
from services.query.profile.refused_keys import find_without_refused_keys
from shared.clock import Clock
from shared.dicom.association.c_find import FindResult
from shared.dicom.association.pynetdicom_association import Peer
from shared.dicom.cancellation import Cancellation
from shared.dicom.query.identifiers import (
    image_identifier,
    relational_series_identifier,
    series_identifier,
)
from shared.dicom.query.match_elements import Match
from shared.dicom.query.matches import (
    ObjectMatch,
    SeriesMatch,
    StudyMatch,
    object_match,
    series_match,
    study_match,
)
from shared.node_access.pool import AssociationPool

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FindRecord:
    """One C-FIND for the ledger; keys are dates, codes and UIDs only."""

    level: str
    keys: dict[str, Any]
    status_code: int | None
    matches: int
    duration_ms: int
    error: str
    asked_at: datetime


class FindScu:
    """Asks one peer, over an association of the pool for each request; used by one thread."""

    def __init__(
        self, pool: AssociationPool, peer: Peer, cancellation: Cancellation, clock: Clock, learner: Learner
    ) -> None:
        self._pool = pool
        self._peer = peer
        self._cancellation = cancellation
        self._clock = clock
        self._learner = learner
        self.records: list[FindRecord] = []
        #: Answers to lists that wait to be used, by study, and by study and series.
        self.series_answers: dict[str, list[SeriesMatch]] = {}
        self.object_answers: dict[tuple[str, str], list[ObjectMatch]] = {}

    def find_studies(self, identifier: Dataset, *, record_keys: dict[str, Any]) -> FindResult[StudyMatch]:
        """Find studies; a failure stands in the result.

        Raises:
            PeerError: there is no association.
            InterruptedWorkError: stopping was requested.
        """
        return self._find("STUDY", identifier, record_keys, study_match)

    def series(self, study_instance_uid: str) -> list[SeriesMatch]:
        """Return the series of a study; the answer to a list is used once, then the study is asked alone.

        Raises:
            PeerError: the answer is not complete.
            InterruptedWorkError: stopping was asked for.
        """
        if study_instance_uid in self.series_answers:
            return self.series_answers.pop(study_instance_uid)
        result = self._find(
            "SERIES",
            series_identifier([study_instance_uid]),
            {"study_instance_uid": study_instance_uid},
            series_match,
        )
        if result.error is not None:
            raise result.error
        return [match for match in result.matches if _belongs(match.study_instance_uid, study_instance_uid)]

    def objects(self, study_instance_uid: str, series_instance_uid: str) -> list[ObjectMatch]:
        """Return the objects of a series; the answer to a list is used once, then the series is asked alone.

        Raises:
            PeerError: the answer is not complete.
            InterruptedWorkError: stopping was asked for.
        """
        if (study_instance_uid, series_instance_uid) in self.object_answers:
            return self.object_answers.pop((study_instance_uid, series_instance_uid))
        result = self._find(
            "IMAGE",
            image_identifier([study_instance_uid], [series_instance_uid]),
            {"study_instance_uid": study_instance_uid, "series_instance_uid": series_instance_uid},
            object_match,
        )
        if result.error is not None:
            raise result.error
        return [match for match in result.matches if _belongs(match.series_instance_uid, series_instance_uid)]

    def series_of_many(self, study_instance_uids: Sequence[str]) -> FindResult[SeriesMatch]:
        """Ask for the series of many studies at once; what went wrong stands in the result."""
        keys = {"study_instance_uids": list(study_instance_uids)}
        return self._find("SERIES", series_identifier(study_instance_uids), keys, series_match)

    def objects_of_many(
        self, study_instance_uids: Sequence[str], series_instance_uids: Sequence[str]
    ) -> FindResult[ObjectMatch]:
        """Ask for the objects of many series at once; what went wrong stands in the result."""
        keys = {
            "study_instance_uids": list(study_instance_uids),
            "series_instance_uids": list(series_instance_uids),
        }
        identifier = image_identifier(study_instance_uids, series_instance_uids)
        return self._find("IMAGE", identifier, keys, object_match)

    def series_of_days(self, study_date: str) -> FindResult[SeriesMatch]:
        """Ask for the series of all studies of a day or range; what went wrong stands in the result."""
        identifier = relational_series_identifier(study_date)
        return self._find("SERIES", identifier, {"study_date": study_date}, series_match)

    def _find(
        self, level: str, identifier: Dataset, keys: dict[str, Any], read: Callable[[Match], T]
    ) -> FindResult[T]:
        return find_without_refused_keys(
            self._learner, level, identifier, lambda left: self._ask(level, left, keys, read)
        )

    def _whom(self) -> Peer:
        """Return the peer; relational queries are negotiated only with nodes that take no lists."""
        profile = self._learner.profile
        relational = profile.series_list == 0 and profile.relational is not False
        return replace(self._peer, relational_queries=relational)

    def _ask(
        self, level: str, identifier: Dataset, keys: dict[str, Any], read: Callable[[Match], T]
    ) -> FindResult[T]:
        with self._pool.find(self._whom(), self._cancellation) as association:
            asked_at = self._clock()
            result = association.c_find(identifier, read, self._cancellation)
        self.records.append(
            FindRecord(
                level=level,
                keys=keys,
                status_code=result.status_code,
                matches=len(result.matches) + result.broken,
                duration_ms=result.duration_ms,
                error=getattr(result.error, "code", "interrupted") if result.error else "",
                asked_at=asked_at,
            )
        )
        return result


def _belongs(answered: str | None, asked: str) -> bool:
    """Tell whether a match is one that was asked for: some PACS ignore keys; most omit the upper level."""
    return answered is None or answered == asked


def record_rows(records: Sequence[FindRecord], job_id: str, task_id: int) -> list[dict[str, Any]]:
    """Return rows for the ledger."""
    return [
        {
            "job_id": job_id,
            "task_id": task_id,
            "level": record.level,
            "keys": record.keys,
            "status_code": record.status_code,
            "matches": record.matches,
            "duration_ms": record.duration_ms,
            "error": record.error,
            "asked_at": record.asked_at,
        }
        for record in records
    ]
