"""Long lists of studies as the JSON of the command line and HTTP, and what is left to retrieve of one."""

from __future__ import annotations

from typing import cast

from sqlalchemy.orm import Session

from shared.clock import iso
from shared.contract.envelope import valid_id
from shared.contract.messages import JobStatus
from shared.errors import NotFoundError
from shared.reading.lists.job_search import retrieves_of
from shared.study_lists.ledger import ListState, list_states, parts_of
from shared.study_lists.results import StudyListDetails, StudyListPart, StudyListResult


class UnknownListError(NotFoundError):
    """There is no list of this id."""


def study_lists_json(session: Session, limit: int) -> list[StudyListResult]:
    """Return the newest lists."""
    return [_json(state) for state in list_states(session, limit)]


def study_list_json(session: Session, list_id: str) -> StudyListDetails:
    """Return a list with its parts.

    Raises:
        UnknownListError: there is none of this id.
    """
    found = list_states(session, 1, list_id) if valid_id(list_id) else []
    if not found:
        raise UnknownListError("there is no list of this id; doseqr lists list shows those that there are")
    parts = parts_of(session, list_id)
    retrieves = retrieves_of(session, [part.job_id for part in parts])
    queries: list[StudyListPart] = [
        {
            "number": part.number,
            "query": part.job_id,
            "status": cast("JobStatus", part.query.status) if part.query is not None else "queued",
            "found": part.query.studies_found if part.query is not None else 0,
            "kept": part.query.studies_kept if part.query is not None else 0,
            "retrieve": retrieves[part.job_id][0].id if part.job_id in retrieves else None,
        }
        for part in parts
    ]
    return {**_json(found[0]), "criteria": found[0].row.criteria, "queries": queries}


def left_to_retrieve(session: Session, list_id: str) -> list[str]:
    """Return the queries of a list that have ended, kept something and have no retrieve."""
    queries = [part.job_id for part in parts_of(session, list_id) if part.retrievable]
    known = retrieves_of(session, queries)
    return [query_id for query_id in queries if query_id not in known]


def _json(state: ListState) -> StudyListResult:
    row = state.row
    return {
        "id": row.id,
        "name": row.name,
        "field": row.field,
        "remote": state.remote,
        "store": state.store,
        "status": state.status,
        "retrieve": row.retrieve,
        "requested_by": row.requested_by,
        "requested_at": iso(row.requested_at),
        "ended_at": iso(row.ended_at),
        "detail": row.detail,
        "identifiers": row.identifiers,
        "left_out": row.left_out,
        "parts": state.parts,
        "parts_ended": state.ended,
        "found": state.found,
        "kept": state.kept,
    }
