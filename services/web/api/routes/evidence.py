"""What the ledger proves over all jobs: completeness calendar, coverage by station, lists from the RIS."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.web.api.inputs import uploaded_file
from services.web.api.operations import OperationTable
from services.web.api.routes.jobs import ShortText
from services.web.components import components
from shared.contract.criteria import CODES
from shared.errors import InvalidInputError
from shared.evidence.results import CalendarResult, CoverageResult, ReconciliationResult, StationStudyResult
from shared.evidence.ris_file import ROWS_MAX
from shared.evidence.ris_list import RisList, read_lines, read_list
from shared.nodes.nodes import find_node
from shared.reading.evidence.calendar import calendar_json, parse_month, parse_types
from shared.reading.evidence.coverage import StationFilter, coverage_json, parse_period, station_studies
from shared.reading.evidence.reconciliation import reconcile

table = OperationTable("evidence")


class CalendarQuery(BaseModel):
    """Which node, types and month."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: ShortText = Field(description="Id or name of a remote node.")
    type: list[ShortText] = Field(
        [], max_length=len(CODES), description="Modality types; may be repeated; none: all but SR."
    )
    month: ShortText = Field("", description="The month, as yyyy-mm; left out: this one.")


@table.add("GET", "/calendar", scope="read", query=CalendarQuery, result=CalendarResult)
def read_calendar(query: CalendarQuery) -> object:
    """Return the completeness calendar of a node for a month.

    What a day is, is what the ledger proves over all jobs. Days are those of the site.
    """
    types = parse_types(query.type)
    month = parse_month(query.month, components().today())
    with components().database.read() as session:
        node = find_node(session, query.node, "remote", "node")
        return calendar_json(session, node, types, month, components().settings, components().clock())


StationName = Annotated[str, StringConstraints(max_length=256)]


class PeriodQuery(BaseModel):
    """Which node and days."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: ShortText = Field(description="Id or name of a remote node.")
    date_from: date | None = Field(
        None, alias="from", description="First study date; left out: thirteen weeks before the last."
    )
    date_until: date | None = Field(None, alias="until", description="Last study date; left out: today.")


class CoverageQuery(PeriodQuery):
    """Which node, types and days."""

    type: list[ShortText] = Field(
        [], max_length=len(CODES), description="Modality types; may be repeated; none: all but SR."
    )


class StationStudiesQuery(PeriodQuery):
    """Which studies of the coverage."""

    type: Literal["CT", "MG", "FL", "DX", "NM", "SR"] | None = None
    station: StationName | None = Field(None, description="Empty: those without a station name.")
    source: Literal["report", "enhanced_sr", "unknown_sr", "images", "none"] | None = None


@table.add("GET", "/coverage", scope="read", query=CoverageQuery, result=CoverageResult)
def read_coverage(query: CoverageQuery) -> object:
    """Return how many studies of each station carry a dose report, by week, and which stations stopped.

    It is read from decisions that are there; no request goes out.
    """
    types = parse_types(query.type)
    period = parse_period(query.date_from, query.date_until, components().today())
    last_studies = components().settings.coverage_last_studies
    with components().database.read() as session:
        node = find_node(session, query.node, "remote", "node")
        return coverage_json(session, node, types, period, last_studies, components().clock())


@table.add(
    "GET", "/coverage/studies", scope="read", query=StationStudiesQuery, result=list[StationStudyResult]
)
def list_station_studies(query: StationStudiesQuery) -> object:
    """List the studies behind a number of the coverage, the newest first."""
    period = parse_period(query.date_from, query.date_until, components().today())
    wanted = StationFilter(query.station, query.type, query.source)
    with components().database.read() as session:
        node = find_node(session, query.node, "remote", "node")
        return station_studies(session, node, period, wanted)[0]


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
