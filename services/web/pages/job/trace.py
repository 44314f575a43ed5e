"""The trace of a job: the way of its request, from the command over tasks and C-FINDs to the objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from flask import Blueprint, abort, render_template, request
from flask.typing import ResponseReturnValue

from services.web.components import components
from shared.contract.envelope import valid_id
from shared.database.models import Query
from shared.reading.jobs import get_job
from shared.reading.traces.tasks import TraceTask
from shared.reading.traces.tree import job_trace

blueprint = Blueprint("trace", __name__, url_prefix="/jobs")

#: Tasks of a page.
PAGE = 100
#: Digits of the id of a task.
MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class TaskNode:
    """A task and the tasks that it was split into."""

    task: TraceTask
    children: list[TaskNode] = field(default_factory=list)


def task_tree(tasks: Sequence[TraceTask]) -> list[TaskNode]:
    """Return the tasks of a page that come from none of the same page, each with those that come from it."""
    nodes = {task["id"]: TaskNode(task) for task in tasks}
    roots: list[TaskNode] = []
    for node in nodes.values():
        parent = nodes.get(node.task["parent"] or 0)
        (parent.children if parent is not None else roots).append(node)
    return roots


@blueprint.get("/<job_id>/trace")
def show(job_id: str) -> ResponseReturnValue:
    """Show the jobs of the trace, and a page of the tasks of this one (`?after=ID`)."""
    after = request.args.get("after", "0")
    if not (after.isascii() and after.isdecimal() and len(after) <= MAX_DIGITS):
        abort(HTTPStatus.NOT_FOUND)
    with components().database.read() as session:
        job = get_job(session, job_id) if valid_id(job_id) else None
        if job is None:
            abort(HTTPStatus.NOT_FOUND)
        trace = job_trace(session, job, limit=PAGE, after=int(after))
        query = job if isinstance(job, Query) else session.get(Query, job.query_id)
        return render_template(
            "job/trace.html", job=job, query=query, trace=trace, tree=task_tree(trace["tasks"]), after=after
        )
