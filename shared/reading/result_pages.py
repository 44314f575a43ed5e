"""How a job stands and what it found, in messages of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from sqlalchemy.orm import Session

from shared.contract.json_types import JsonDocument
from shared.database.models.query import Query
from shared.errors import InvalidInputError
from shared.identifiers import Uid
from shared.reading.jobs import Job
from shared.reading.lists.pages import ObjectKey, StudyFilter, object_page, study_page
from shared.reading.query_json import missing, query_head
from shared.reading.retrieve_json import retrieve_json

#: Entries of each list in the state of a job.
STATE_ENTRIES = 100

#: Bytes of a page as JSON, beside the first entry: far below what a message may have.
PAGE_BYTES = 512 * 1024

#: Bytes of one study from which on its objects are left out.
STUDY_BYTES = 2 * 1024 * 1024

_STUDIES, _MISSING, _OBJECTS = "study", "missing", "object"
_MOST_MISSING = 10**9


@dataclass(slots=True)
class ResultPage:
    """A page of a result; `next` requests the one after it."""

    studies: list[JsonDocument] = field(default_factory=list)
    objects: list[JsonDocument] = field(default_factory=list)
    missing: list[JsonDocument] = field(default_factory=list)
    next: str = ""


def job_state(session: Session, job: Job) -> JsonDocument:
    """Return a job as `doseqr show --json` prints it, without studies and with lists of bounded length."""
    whole: Mapping[str, object]
    whole = query_head(session, job.id) if isinstance(job, Query) else retrieve_json(session, job.id)
    left_out = {
        name: len(value) - STATE_ENTRIES
        for name, value in whole.items()
        if isinstance(value, list) and len(value) > STATE_ENTRIES
    }
    cut = {name: value[:STATE_ENTRIES] if isinstance(value, list) else value for name, value in whole.items()}
    return cut | ({"left_out": left_out} if left_out else {})


def result_page(session: Session, job: Job, after: str, limit: int, field_name: str = "after") -> ResultPage:
    """Return a page of a job's result: studies of a query and then what is missing, or objects of a retrieve.

    Raises:
        InvalidInputError: `after` is not the `next` of another page of such a job; names `field_name`.
    """
    kind, _, key = after.partition(" ")
    if isinstance(job, Query):
        if kind in ("", _STUDIES) and (not key or _is_uid(key)):
            return _page_of_studies(session, job.id, key, limit)
        if kind == _MISSING and key.isascii() and key.isdecimal() and int(key) < _MOST_MISSING:
            return _page_of_missing(session, job.id, int(key), limit)
    elif kind in ("", _OBJECTS):
        uids = _uids(key)
        if uids is not None or not key:
            return _page_of_objects(session, job, uids, limit)
    raise InvalidInputError(field_name, "must be the `next` of another page of this job, or empty")


def _page_of_studies(session: Session, job_id: str, after: str, limit: int) -> ResultPage:
    found = study_page(session, job_id, StudyFilter(), limit, after)
    page = ResultPage(studies=list(_within(map(_bounded, found))))
    if len(page.studies) < len(found) or len(found) == limit:
        page.next = f"{_STUDIES} {page.studies[-1]['study_instance_uid']}"
    elif next(iter(missing(session, job_id)), None) is not None:
        page.next = f"{_MISSING} 0"
    return page


def _page_of_missing(session: Session, job_id: str, start: int, limit: int) -> ResultPage:
    found = [dict(entry) for entry in islice(missing(session, job_id), start, start + limit + 1)]
    page = ResultPage(missing=list(_within(found[:limit])))
    if len(page.missing) < len(found):
        page.next = f"{_MISSING} {start + len(page.missing)}"
    return page


def _page_of_objects(session: Session, job: Job, after: ObjectKey | None, limit: int) -> ResultPage:
    found = object_page(session, job, limit, after)
    page = ResultPage(objects=list(_within(dict(entry) for entry in found)))
    if len(page.objects) < len(found) or len(found) == limit:
        last = page.objects[-1]
        names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
        page.next = " ".join([_OBJECTS, *(last[name] for name in names)])
    return page


def _is_uid(text: str) -> bool:
    return Uid.problem_of(text) is None


def _uids(key: str) -> ObjectKey | None:
    """Return the three UIDs of a key; the last is empty for a series that the PACS did not list."""
    parts = key.split(" ")
    if len(parts) != 3 or not all(map(_is_uid, parts[:2])) or (parts[2] and not _is_uid(parts[2])):  # noqa: PLR2004
        return None
    return parts[0], parts[1], parts[2]


def _within(entries: Iterable[JsonDocument]) -> Iterator[JsonDocument]:
    """Yield entries as far as they fit into a page; the first one always."""
    taken = 0
    for number, entry in enumerate(entries):
        taken += len(json.dumps(entry))
        if number and taken > PAGE_BYTES:
            return
        yield entry


def _bounded(study: Mapping[str, object]) -> JsonDocument:
    """Return a study; from one that is too large, the objects are left out, and counted."""
    whole: JsonDocument = dict(study)
    if len(json.dumps(whole)) <= STUDY_BYTES:
        return whole
    series = [entry | {"objects": [], "objects_left_out": len(entry["objects"])} for entry in whole["series"]]
    return whole | {"series": series}
