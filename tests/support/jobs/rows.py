"""Factories of rows of jobs; they fill the columns that a test does not speak about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from shared.database.models import (
    Query,
    QueryFind,
    QueryObject,
    QuerySeries,
    QueryStudy,
    QueryTask,
    Retrieve,
    RetrieveObject,
    StoredObject,
)
from simulator.archive.model import Study

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def a_query(job_id: str = "query-1", **columns: Any) -> Query:
    """Return a query, by default completed."""
    defaults: dict[str, Any] = {
        "status": "completed",
        "remote_id": 1,
        "remote_name": "pacs",
        "store_id": 2,
        "store_name": "doseqr",
        "requested_at": NOW,
        "criteria": {"types": ["CT"]},
        "rules_version": 1,
        "today": NOW.date(),
    }
    return Query(id=job_id, **(defaults | columns))


def a_study(uid: str, job_id: str = "query-1", **columns: Any) -> QueryStudy:
    """Return a study, by default decided and kept."""
    defaults: dict[str, Any] = {"state": "decided", "type": "CT", "decision": "keep", "reason": "rdsr"}
    return QueryStudy(job_id=job_id, study_instance_uid=uid, **(defaults | columns))


def a_series(study: str, uid: str, job_id: str = "query-1", **columns: Any) -> QuerySeries:
    """Return a series, by default kept as a whole."""
    defaults: dict[str, Any] = {"modality": "SR", "decision": "keep", "reason": "rdsr", "whole": True}
    return QuerySeries(
        job_id=job_id, study_instance_uid=study, series_instance_uid=uid, **(defaults | columns)
    )


def an_object(study: str, series: str, uid: str, job_id: str = "query-1", **columns: Any) -> QueryObject:
    """Return an object that was decided by itself, by default kept."""
    defaults: dict[str, Any] = {"decision": "keep", "reason": "rdsr"}
    return QueryObject(
        job_id=job_id,
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=uid,
        **(defaults | columns),
    )


def a_task(job_id: str = "query-1", **columns: Any) -> QueryTask:
    """Return a task, by default a slice that failed."""
    defaults: dict[str, Any] = {"kind": "slice", "state": "failed", "created_at": NOW, "due_at": NOW}
    return QueryTask(job_id=job_id, **(defaults | columns))


def a_find(task_id: int, job_id: str = "query-1", **columns: Any) -> QueryFind:
    """Return a C-FIND, by default a complete one at series level."""
    defaults: dict[str, Any] = {
        "level": "SERIES",
        "keys": {},
        "status_code": 0,
        "matches": 1,
        "duration_ms": 3,
        "asked_at": NOW,
    }
    return QueryFind(job_id=job_id, task_id=task_id, **(defaults | columns))


def a_retrieve(job_id: str = "retrieve-1", query_id: str = "query-1", **columns: Any) -> Retrieve:
    """Return a retrieve, by default completed."""
    defaults: dict[str, Any] = {
        "status": "completed",
        "remote_id": 1,
        "remote_name": "pacs",
        "store_id": 2,
        "store_name": "doseqr",
        "requested_at": NOW,
        "selection": {},
    }
    return Retrieve(id=job_id, query_id=query_id, **(defaults | columns))


def an_expected(
    study: str, series: str, uid: str, job_id: str = "retrieve-1", **columns: Any
) -> RetrieveObject:
    """Return an expected object, by default arrived."""
    defaults: dict[str, Any] = {"state": "arrived", "asked": 1}
    return RetrieveObject(
        job_id=job_id,
        study_instance_uid=study,
        series_instance_uid=series,
        sop_instance_uid=uid,
        **(defaults | columns),
    )


def stored_objects(study: Study, source: str, at: datetime) -> list[StoredObject]:
    """Return all objects of a study as the store keeps them, received at one time."""
    return [
        StoredObject(
            sop_instance_uid=instance.sop_instance_uid,
            series_instance_uid=member.series_instance_uid,
            study_instance_uid=study.study_instance_uid,
            source=source,
            received_at=at,
            last_received_at=at,
        )
        for member in study.series
        for instance in member.instances
    ]
