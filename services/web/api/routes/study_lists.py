"""Long lists of studies: an upload becomes queries one after another."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from services.web.api.authentication import identity
from services.web.api.commands import audit, publish_all, require_services
from services.web.api.idempotency import command_id
from services.web.api.inputs import storable, uploaded_file, uploaded_name
from services.web.api.operations import OperationResult, OperationTable
from services.web.api.problems import PREFIX, FieldProblem, ProblemError, not_found
from services.web.api.routes.queries import JobReference
from services.web.components import components
from shared.contract.criteria import IDENTIFIERS, parse_criteria, window
from shared.contract.criteria_fields import MAX_IDENTIFIERS
from shared.contract.json_types import JsonDocument
from shared.contract.messages import RunRetrieve
from shared.contract.text import NodeReference
from shared.errors import InvalidInputError
from shared.evidence.ris_file import ROWS_MAX
from shared.nodes.nodes import find_node
from shared.reading.lists.study_lists import (
    UnknownListError,
    left_to_retrieve,
    study_list_json,
    study_lists_json,
)
from shared.study_lists.ledger import NewList, add_list, cancel_list
from shared.study_lists.results import StudyListDetails, StudyListResult
from shared.study_lists.upload import UploadedList, WrongLinesError, read_list

table = OperationTable("study lists")

#: Lists that are listed.
LISTED_MAX = 100


def _from_form(value: object) -> object:
    """Return the object of a text of JSON, which a form holds."""
    if not isinstance(value, str):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON object") from None
    if not storable(found):
        raise ValueError("holds a NUL or half a character, or is too deep")
    return found


class StudyListBody(BaseModel):
    """A list of accession numbers or study UIDs, and how each of its studies is queried."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    remote: NodeReference
    store: NodeReference
    criteria: Annotated[JsonDocument, BeforeValidator(_from_form)] = Field(
        description="Criteria without dates and identifiers; in a form as a text of JSON."
    )
    retrieve: bool = Field(False, description="Retrieve what each part kept as soon as it has ended.")
    column: Annotated[str, StringConstraints(max_length=2, pattern="^[A-Za-z]*$")] = Field(
        "",
        description="Letter of the column that holds the numbers, where neither names nor content show it.",
    )
    leave_out_errors: bool = Field(
        False, description="Leave out lines that are wrong, instead of refusing all."
    )
    lines: list[Annotated[str, StringConstraints(max_length=1000)]] = Field(
        [], max_length=ROWS_MAX - 1, description="The lines of the file, where none is sent."
    )


@table.add(
    "POST",
    "/study-lists",
    scope="import",
    body=StudyListBody,
    takes_file=True,
    result=StudyListDetails,
    status=HTTPStatus.ACCEPTED,
)
def create_study_list(body: StudyListBody) -> object:
    """Query the studies of a list, in parts of 1,000 one after another.

    The list comes as the file of a form, CSV or XLSX with up to 100,000 lines, or as `lines`. Only one
    column is read; accession numbers or study UIDs are recognised by its name or content. If lines are wrong,
    nothing begins and `errors` names each as `line N`. Read the address in `Location` until `ended_at` is
    set.
    """
    found = _read(body)
    criteria = _checked(body.criteria, found)
    with components().database.read() as session:
        remote = find_node(session, body.remote, "remote", "remote")
        store = find_node(session, body.store, "store", "store")
    require_services(("query", "retrieve") if body.retrieve else ("query",))
    given = NewList(
        name=uploaded_name() or "list",
        field=found.field,
        identifiers=found.identifiers,
        remote=remote,
        store=store,
        criteria=criteria,
        retrieve=body.retrieve,
        requested_by=identity().owner,
        left_out=found.number_of_errors,
        id=command_id(),
    )
    with components().database.write() as session:
        list_id = add_list(session, given, components().clock())
    audit("list", list_id=list_id, remote=remote.id, identifiers=len(found.identifiers))
    return OperationResult(_details(list_id), location=f"{PREFIX}/study-lists/{list_id}")


def _read(body: StudyListBody) -> UploadedList:
    content = uploaded_file()
    if content is None:
        if not body.lines:
            raise InvalidInputError("lines", "must hold at least one line, or send a file")
        content = "\n".join(body.lines).encode()
    try:
        return read_list(content, body.column, leave_out_errors=body.leave_out_errors)
    except WrongLinesError as error:
        errors = [FieldProblem(field=f"line {wrong.line}", problem=wrong.problem) for wrong in error.errors]
        advice = "Correct the lines, or send leave_out_errors=true."
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"{error.field}: {error.problem}",
            field=error.field,
            errors=errors,
            advice=advice,
        ) from None


def _checked(given: JsonDocument, found: UploadedList) -> JsonDocument:
    """Return the criteria without identifiers; they must fit each part of the list."""
    for name in IDENTIFIERS:
        if given.get(name):
            raise InvalidInputError(f"criteria.{name}", "comes from the list")
    first_part = found.identifiers[:MAX_IDENTIFIERS]
    criteria = parse_criteria({**given, found.field: first_part}, "criteria")
    try:
        window(criteria, components().today())
    except InvalidInputError as error:
        raise InvalidInputError(f"criteria.{error.field}", error.problem) from None
    return {**criteria.to_json(), **{name: [] for name in IDENTIFIERS}}


@table.add("GET", "/study-lists", scope="read", result=list[StudyListResult])
def list_study_lists() -> object:
    """List the last lists, the newest first, each without its parts."""
    with components().database.read() as session:
        return study_lists_json(session, LISTED_MAX)


@table.add("GET", "/study-lists/{study_list}", scope="read", result=StudyListDetails)
def read_study_list(study_list: str) -> object:
    """Return a list with its parts; each is a query like any other."""
    return _details(study_list)


@table.add("POST", "/study-lists/{study_list}/cancel", scope="import", result=StudyListDetails)
def cancel_study_list(study_list: str) -> object:
    """Let no further part begin, and end those that run; what was found stays."""
    _details(study_list)
    with components().database.write() as session:
        done = cancel_list(session, study_list, identity().owner, components().clock())
    if done:
        audit("list cancelled", list_id=study_list)
    return _details(study_list)


@table.add(
    "POST",
    "/study-lists/{study_list}/retrieve",
    scope="import",
    result=list[JobReference],
    status=HTTPStatus.ACCEPTED,
)
def retrieve_study_list(study_list: str) -> object:
    """Retrieve what the ended parts have kept, as far as no retrieve of it was begun before."""
    _details(study_list)
    with components().database.read() as session:
        queries = left_to_retrieve(session, study_list)
    commands = [
        (f"{command_id()}-{number}", RunRetrieve(query_id=query_id, requested_by=identity().owner))
        for number, query_id in enumerate(queries, 1)
    ]
    publish_all(commands, needs=("retrieve",))
    if commands:
        audit("retrieve", list_id=study_list, queries=len(commands))
    return [{"id": retrieve_id, "kind": "retrieve", "status": "queued"} for retrieve_id, _ in commands]


def _details(list_id: str) -> StudyListDetails:
    with components().database.read() as session:
        try:
            return study_list_json(session, list_id)
        except UnknownListError:
            raise not_found("There is no list of studies with this id.") from None
