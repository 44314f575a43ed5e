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

from shared.contract.criteria import STUDY_SELECTION, parse_criteria
from shared.contract.criteria_fields import Day
from shared.contract.envelope import invalid
from shared.contract.json_types import JsonDocument, JsonObject
from shared.contract.text import NodeReference
from shared.errors import InvalidInputError
from shared.node_access.limits import TIME_ZONE_MAX_LENGTH, parse_zone
from shared.nodes.names import NAME_MAX_LENGTH, checked_name, trimmed
from shared.schedules.recurrence import LINE_MAX_LENGTH, parse_recurrence


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
        BeforeValidator(trimmed),
        AfterValidator(checked_name),
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
        str, Field(max_length=TIME_ZONE_MAX_LENGTH), BeforeValidator(trimmed), AfterValidator(_time_zone)
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
    for name in STUDY_SELECTION:
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
    given = {name: value for name, value in criteria.items() if name not in STUDY_SELECTION}
    values = parse_criteria(given, "criteria").to_json()
    return {name: value for name, value in values.items() if name not in STUDY_SELECTION}
