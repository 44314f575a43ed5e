"""Lists from the RIS against the ledger of a node."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.web.api.inputs import uploaded_file
from services.web.api.operations import OperationTable
from services.web.components import components
from shared.errors import InvalidInputError
from shared.evidence.results import ReconciliationResult
from shared.evidence.ris_file import ROWS_MAX
from shared.evidence.ris_list import RisList, read_lines, read_list
from shared.nodes.nodes import find_node
from shared.reading.evidence.reconciliation import reconcile

table = OperationTable("evidence")

LineText = Annotated[str, StringConstraints(max_length=1000)]


class ListLine(BaseModel):
    """An examination: with accession number or study UID, or both."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accession_number: LineText = ""
    study_instance_uid: LineText = ""
    date: LineText = Field("", description="The day of the examination, such as 2026-11-03 or 03.11.2026.")
    room: LineText = ""
    procedure: LineText = ""
    modality: LineText = Field("", description="A DICOM code such as CT; it limits what has to be proven.")


class ReconciliationBody(BaseModel):
    """A list of examinations, and the node that should have them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: Annotated[str, StringConstraints(max_length=128)] = Field(
        description="Id or name of a remote node."
    )
    lines: list[ListLine] = Field([], max_length=ROWS_MAX - 1)


@table.add(
    "POST",
    "/reconciliations",
    scope="read",
    body=ReconciliationBody,
    takes_file=True,
    result=ReconciliationResult,
)
def create_reconciliation(body: ReconciliationBody) -> object:
    """Return what is known of each examination of a list from the RIS.

    The list comes as `lines`, or as the file of a form: CSV or XLSX, whose first row names the columns.
    Nothing of it is stored, and no request goes out.
    """
    with components().database.read() as session:
        node = find_node(session, body.node, "remote", "node")
        return reconcile(session, node, _list(body), components().settings, components().clock())


def _list(body: ReconciliationBody) -> RisList:
    content = uploaded_file()
    if content is not None:
        return read_list(content)
    if not body.lines:
        raise InvalidInputError("lines", "must hold at least one line, or send a file")
    return read_lines([{**line.model_dump(exclude={"date"}), "day": line.date} for line in body.lines])
