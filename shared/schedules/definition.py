"""The definition of a recurring query: one validation for the page, the command line and HTTP. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)

from shared.contract.criteria import parse_criteria
from shared.contract.criteria_fields import Day
from shared.contract.envelope import invalid
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.text import NodeReference
from shared.errors import InvalidInputError
from shared.node_access.limits import TIME_ZONE_MAX_LENGTH, parse_zone
from shared.schedules.recurrence import LINE_MAX_LENGTH, parse_recurrence

NAME_MAX_LENGTH = 64
#: In the name of a removed schedule; no other one may carry it.
REMOVED_MARK = "#removed-"

#: Criteria that a schedule has not: each run sets its dates.
NOT_RECURRING = (
    "date_from",
    "date_until",
    "date_ranges",
    "time_from",
    "time_until",
    "accession_numbers",
    "study_instance_uids",
)


def _trimmed(value: object) -> object:
    return value.strip() if isinstance(value, str) else value


def _name(value: str) -> str:
    if not 1 <= len(value) <= NAME_MAX_LENGTH:
        raise ValueError(f"must have 1 to {NAME_MAX_LENGTH} characters")
    if not value.isprintable():
        raise ValueError("must hold only printable characters")
    if value.isdecimal():
        raise ValueError("must not be a number only: it would be taken for an id")
    if REMOVED_MARK in value:
        raise ValueError(f"must not hold {REMOVED_MARK}")
    return value


def _when(value: str) -> str:
    return parse_recurrence(value).text


def _time_zone(value: str) -> str:
    parse_zone(value)
    return value


class ScheduleInput(BaseModel):
    """A recurring query, as somebody adds or edits it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[
        str,
        BeforeValidator(_trimmed),
        AfterValidator(_name),
        Field(max_length=NAME_MAX_LENGTH, description="A name of its own."),
    ]
    remote: NodeReference
    store: NodeReference
    criteria: JsonDocument = Field(description="Criteria without dates and identifiers.")
    retrieve: StrictBool = Field(False, description="Retrieve what each run keeps.")
    when: Annotated[str, Field(max_length=LINE_MAX_LENGTH), AfterValidator(_when)] = Field(
        description='"every 60 minutes", "daily 06:30", "weekdays 06:30", or five fields of cron.'
    )
    time_zone: Annotated[
        str, Field(max_length=TIME_ZONE_MAX_LENGTH), BeforeValidator(_trimmed), AfterValidator(_time_zone)
    ] = Field("", description="Of the IANA database, as Europe/Berlin; empty: that of the site.")
    start: Day = Field(None, description="First study date to cover; none: today.")
    paused: StrictBool = Field(False, description="Due times pass without a run.")


def parse_schedule(data: Mapping[str, object]) -> ScheduleInput:
    """Validate a recurring query; its criteria come back as they are kept.

    Raises:
        InvalidInputError: a value is missing or malformed; names the field.
    """
    try:
        given = ScheduleInput.model_validate(dict(data))
    except ValidationError as error:
        raise invalid(error) from None
    for name in NOT_RECURRING:
        if given.criteria.get(name):
            raise InvalidInputError(
                f"criteria.{name}", "is not for a recurring query: each run sets its dates"
            )
    return given.model_copy(update={"criteria": recurring_criteria(given.criteria)})


def recurring_criteria(criteria: Mapping[str, object]) -> JsonObject:
    """Return validated criteria without dates and identifiers.

    Raises:
        InvalidInputError: a value is malformed; names the field.
    """
    given = {name: value for name, value in criteria.items() if name not in NOT_RECURRING}
    values = parse_criteria(given, "criteria").to_json()
    return {name: value for name, value in values.items() if name not in NOT_RECURRING}
