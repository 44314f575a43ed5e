"""The ledger of a job, page by page: slices and C-FINDs of a query, moves and objects of a retrieve."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from services.web.components import components
from services.web.language import lazy_gettext
from services.web.views.cursors import neighbours, place_of, read_number, read_text
from shared.contract.envelope import valid_id
from shared.database.models import Query
from shared.reading.jobs import Job, get_job
from shared.reading.lists.keyset import ListPage
from shared.reading.lists.pages import ObjectKey, finds_of, moves_of, object_page, slices_of

blueprint = Blueprint("ledger", __name__, url_prefix="/jobs")

#: Rows of a page.
PAGE = 100

#: Parts of each kind of job, the first of them shown at first.
PARTS = {
    "query": {
        "slices": lazy_gettext("Slices"),
        "finds": lazy_gettext("C-FIND requests"),
        "objects": lazy_gettext("Objects decided one by one"),
    },
    "retrieve": {"moves": lazy_gettext("Moves"), "objects": lazy_gettext("Objects")},
}
#: States by which a part is filtered.
STATES = {
    ("query", "slices"): ("done", "failed", "running", "pending", "queued", "cancelled"),
    ("query", "objects"): ("keep", "drop"),
    ("retrieve", "objects"): ("arrived", "failed", "missing", "asked", "expected"),
}


@blueprint.get("/<job_id>/ledger")
def show(job_id: str) -> ResponseReturnValue:
    """Show a part of the ledger."""
    with components().database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
        if job is None:
            abort(HTTPStatus.NOT_FOUND)
        kind = "query" if isinstance(job, Query) else "retrieve"
        parts = PARTS[kind]
        part = request.args.get("part", next(iter(parts)))
        if part not in parts:
            abort(HTTPStatus.NOT_FOUND)
        states = STATES.get((kind, part), ())
        state = request.args.get("state", "")
        state = state if state in states else ""
        chosen = {"part": part, **({"state": state} if state else {})}
        rows, pages = _rows(session, job, part, state, chosen)
        query = job if isinstance(job, Query) else session.get(Query, job.query_id)
        return render_template(
            "job/ledger.html",
            job=job,
            query=query,
            kind=kind,
            part=part,
            parts=parts,
            states=states,
            state=state,
            rows=rows,
            pages=pages,
        )


def _rows(
    session: Session, job: Job, part: str, state: str, chosen: dict[str, str]
) -> tuple[list[object], dict[str, dict[str, str]]]:
    if part == "objects":
        return _objects(session, job, state, chosen)
    place = place_of(request.args, read_number)
    page: ListPage[object]
    if part == "slices":
        page = slices_of(session, job.id, place, PAGE, state)  # type: ignore[assignment]
    elif part == "finds":
        page = finds_of(session, job.id, place, PAGE)  # type: ignore[assignment]
    else:
        page = moves_of(session, job.id, place, PAGE)  # type: ignore[assignment]
    return page.rows, neighbours(page, lambda row: (getattr(row, "id", 0),), chosen)


def _objects(
    session: Session, job: Job, state: str, chosen: dict[str, str]
) -> tuple[list[object], dict[str, dict[str, str]]]:
    key = place_of(request.args, read_text, read_text, read_text).after
    after: ObjectKey | None = (str(key[0]), str(key[1]), str(key[2])) if key is not None else None
    found = object_page(session, job, PAGE + 1, after, state or None)
    # Read forwards only: back leads to the first.
    page = ListPage(found[:PAGE], has_previous=False, has_next=len(found) > PAGE)
    names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
    pages = neighbours(page, lambda row: [row[name] for name in names], chosen)  # type: ignore[literal-required]
    pages["last"] = {}
    if key is not None:
        pages["first"] = chosen
    return list(page.rows), pages
