"""Queries, and the retrieve of what one has kept."""

from __future__ import annotations

from http import HTTPStatus

from pydantic import BaseModel, ConfigDict, with_config
from typing_extensions import TypedDict

from services.web.api.authentication import identity
from services.web.api.bodies import QueryBody, RetrieveBody
from services.web.api.commands import publish, reference, taken
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, ProblemError, not_found
from services.web.components import components
from shared.contract.criteria import parse_criteria, window
from shared.contract.envelope import valid_id
from shared.contract.messages import ENDED, JobKind, JobStatus, RunQuery, RunRetrieve
from shared.database.models import Query
from shared.errors import InvalidInputError
from shared.nodes.nodes import find_node

table = OperationTable("queries")


@with_config(ConfigDict(extra="forbid"))
class JobReference(TypedDict):
    """A job that a command began or changed; it is `queued` as long as no worker has taken it."""

    id: str
    kind: JobKind
    status: JobStatus


@table.add(
    "POST", "/queries", scope="import", body=QueryBody, result=JobReference, status=HTTPStatus.ACCEPTED
)
def create_query(body: BaseModel) -> object:
    """Begin a query.

    Follow it at the address in `Location`, or by its events. With `retrieve`, what it keeps is retrieved as
    soon as it has ended.
    """
    command = RunQuery.model_validate({**body.model_dump(), "requested_by": identity().owner})
    criteria = parse_criteria(command.criteria, "criteria")
    try:
        window(criteria, components().today())
    except InvalidInputError as error:
        raise InvalidInputError(f"criteria.{error.field}", error.problem) from None
    with components().database.read() as session:
        remote = find_node(session, command.remote, "remote", "remote")
        store = find_node(session, command.store, "store", "store")
    command = command.model_copy(
        update={"remote": remote.id, "store": store.id, "criteria": criteria.to_json()}
    )
    needs = ("query", "retrieve") if command.retrieve else ("query",)
    job_id = publish(command, "query", needs=needs, remote=remote.id, store=store.id)
    job = taken(job_id, job_id, lambda job: job is not None)
    return OperationResult(reference(job_id, "query", job), location=f"{PREFIX}/jobs/{job_id}")


@table.add(
    "POST",
    "/queries/{query_id}/retrieve",
    scope="import",
    body=RetrieveBody,
    result=JobReference,
    status=HTTPStatus.ACCEPTED,
)
def create_retrieve(query_id: str, body: BaseModel) -> object:
    """Retrieve what an ended query has kept, or only some types or studies of it."""
    with components().database.read() as session:
        query = session.get(Query, query_id) if valid_id(query_id) else None
    if query is None:
        raise not_found("There is no query with this id.")
    if query.status not in ENDED:
        raise ProblemError(HTTPStatus.CONFLICT, f"The query has not ended yet; it is {query.status}.")
    given = {**body.model_dump(), "query_id": query.id, "requested_by": identity().owner}
    command = RunRetrieve.model_validate(given)
    retrieve_id = publish(command, "retrieve", needs=("retrieve",), query_id=query.id, types=command.types)
    job = taken(retrieve_id, retrieve_id, lambda job: job is not None)
    return OperationResult(reference(retrieve_id, "retrieve", job), location=f"{PREFIX}/jobs/{retrieve_id}")
