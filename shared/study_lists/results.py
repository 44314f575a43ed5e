"""The forms of a list of studies as JSON: what the readings return and the HTTP API describes."""

from __future__ import annotations

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict

from shared.contract.json_types import JsonDocument
from shared.contract.messages import JobStatus

_CLOSED = ConfigDict(extra="forbid")


@with_config(_CLOSED)
class StudyListPart(TypedDict):
    """A query of a long list; `queued` until it has begun. `retrieve`: the id of its last retrieve."""

    number: int
    query: str
    status: JobStatus
    found: int
    kept: int
    retrieve: str | None


@with_config(_CLOSED)
class StudyListResult(TypedDict):
    """An uploaded list of studies; `field` is the field of criteria that its identifiers are.

    `identifiers` counts them, each once; `left_out` the lines that could not be used. `found` and `kept` are
    studies of all parts together.
    """

    id: str
    name: str
    field: str
    remote: str
    store: str
    status: JobStatus
    retrieve: bool
    requested_by: str
    requested_at: str
    ended_at: str | None
    detail: str
    identifiers: int
    left_out: int
    parts: int
    parts_ended: int
    found: int
    kept: int


@with_config(_CLOSED)
class StudyListDetails(StudyListResult):
    """The same with its criteria, without the identifiers, and its parts."""

    criteria: JsonDocument
    queries: list[StudyListPart]
