"""The criteria of a query: one validation for the page, the command line, HTTP and messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from shared.contract.criteria_fields import (
    AccessionNumbers,
    DateRange,
    Day,
    Minute,
    Terms,
    Uids,
    any_case,
    format_time,
    split_terms,
    text_list_schema,
    whole,
    wrong,
)
from shared.contract.json_types import JsonObject
from shared.errors import InvalidInputError

#: The DICOM codes (Modality, 0008,0060) that each modality type stands for, in the order of the form.
CODES: Mapping[str, tuple[str, ...]] = {
    "CT": ("CT",),
    "MG": ("MG",),
    "FL": ("RF", "XA"),
    "DX": ("DX", "CR", "PX"),
    "NM": ("NM", "PT"),
    "SR": ("SR",),
}
#: A study is counted under the first of these that was requested and that it has.
TYPE_ORDER: tuple[str, ...] = ("MG", "DX", "FL", "CT", "NM", "SR")

#: Fields that name studies, in place of dates.
IDENTIFIERS = ("accession_numbers", "study_instance_uids")

#: Criteria that select studies, not what is kept of a study.
STUDY_SELECTION = ("date_from", "date_until", "date_ranges", "time_from", "time_until", *IDENTIFIERS)

#: Parts of the dates of one query.
MAX_DATE_RANGES = 1000

#: Characters of a field's name that are repeated in an error.
_MAX_NAME_LENGTH = 100

ModalityType = Literal["CT", "MG", "FL", "DX", "NM"]


def _types(value: object) -> object:
    """Return the types upper-case, each once, in the order of the form; what is no type stays, last."""
    items = split_terms(value) if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        return items
    texts = dict.fromkeys(item.strip().upper() for item in items if item.strip())
    known = [name for name in CODES if name in texts]
    return (*known, *(text for text in texts if text not in CODES))


#: At least one type, or reports alone, in JSON Schema.
_HOLDS_TYPES: JsonObject = {
    "required": ["types"],
    "properties": {
        "types": {
            "anyOf": [
                {"type": "array", "contains": {"type": "string", "pattern": r"\S"}},
                {"type": "string", "pattern": r"[^\s,]"},
            ]
        }
    },
}
_HOLDS_SR_ONLY: JsonObject = {
    "required": ["include_sr_only"],
    "properties": {"include_sr_only": {"const": True}},
}


class Criteria(BaseModel):
    """The criteria of a query, validated; dates and times of day are inclusive at both ends."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"anyOf": [_HOLDS_TYPES, _HOLDS_SR_ONLY]}
    )

    types: Annotated[
        tuple[ModalityType, ...],
        BeforeValidator(_types),
        text_list_schema(
            {"type": "string", "pattern": whole(f"{any_case(CODES)}|")}, len(CODES), any_case(CODES)
        ),
    ] = Field((), description="Modality types; SR stands for include_sr_only.")
    include_sr_only: StrictBool = Field(False, description="Also studies that hold nothing but SR.")
    date_from: Day = Field(None, description="First study date.")
    date_until: Day = Field(None, description="Last study date.")
    date_ranges: tuple[DateRange, ...] = Field(
        (),
        max_length=MAX_DATE_RANGES,
        description="Only these parts of date_from to date_until, the earliest first; empty: all of it.",
    )
    time_from: Minute = Field(None, description="First minute of the day; only with a single date.")
    time_until: Minute = Field(None, description="Last minute of the day; only with a single date.")
    exclude_descriptions: Terms = Field((), description="Drop studies whose description holds one of these.")
    keep_descriptions: Terms = Field(
        (), description="Keep only studies whose description holds one of these."
    )
    exclude_stations: Terms = Field((), description="Drop what comes from a station whose name holds one.")
    keep_stations: Terms = Field((), description="Keep only what comes from a station whose name holds one.")
    station_at_study_level: StrictBool = Field(False, description="Station names are those of the study.")
    ignore_known: StrictBool = Field(True, description="Drop objects that the database has already.")
    empty_sr: StrictBool = Field(False, description="Get SR series without a match at image level.")
    toshiba: StrictBool = Field(
        False, description="CT: the first image of each series, and secondary captures whole."
    )
    accession_numbers: AccessionNumbers = Field(
        (), description="Only studies with one of these; in place of dates."
    )
    study_instance_uids: Uids = Field((), description="Only these studies; in place of dates.")

    @model_validator(mode="before")
    @classmethod
    def _take_sr_as_the_option(cls, data: object) -> object:
        """Take SR out of the types: it stands for the option."""
        if not isinstance(data, Mapping) or "types" not in data:
            return data
        types = _types(data["types"])
        if not isinstance(types, tuple) or "SR" not in types:
            return data
        others = tuple(name for name in types if name != "SR")
        if data.get("include_sr_only") is False:
            raise _at("types", "holds SR, but include_sr_only is false")
        return {"include_sr_only": True, **data, "types": others}

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        """Check what one field cannot know alone."""
        if not self.types and not self.include_sr_only:
            raise _at("types", f"at least one of {', '.join(CODES)} is needed")
        if self.date_from and self.date_until and self.date_from > self.date_until:
            raise _at("date_from", f"{self.date_from} is after date_until, {self.date_until}")
        single_date = self.date_from is not None and self.date_from == self.date_until
        for name in ("time_from", "time_until"):
            if getattr(self, name) is not None and not single_date:
                raise _at(name, "a time of day needs a single date: date_from and date_until on the same day")
        if self.time_from and self.time_until and self.time_from > self.time_until:
            start, end = format_time(self.time_from), format_time(self.time_until)
            raise _at("time_from", f"{start} is after time_until, {end}")
        self._divide()
        self._stand_alone()
        return self

    def _divide(self) -> None:
        """Check that the parts lie within the dates, in order, none over another."""
        if not self.date_ranges:
            return
        if self.date_from is None or self.date_until is None:
            raise _at("date_ranges", "need date_from and date_until, within which they lie")
        days = [day for part in self.date_ranges for day in (part.date_from, part.date_until)]
        starts, ends = days[::2], days[1::2]
        in_order = all(end < start for end, start in zip(ends[:-1], starts[1:], strict=True))
        if not in_order or days[0] < self.date_from or days[-1] > self.date_until:
            raise _at("date_ranges", "must lie within date_from and date_until, in order, none over another")

    def _stand_alone(self) -> None:
        """Check that identifiers stand in place of dates and of each other."""
        if self.accession_numbers and self.study_instance_uids:
            raise _at("accession_numbers", "cannot be combined with study_instance_uids")
        for name in IDENTIFIERS:
            if getattr(self, name) and (self.date_from or self.date_until):
                raise _at(name, "cannot be combined with dates: leave date_from and date_until empty")

    @property
    def has_hours(self) -> bool:
        """Whether only some hours of the day are requested."""
        return self.time_from is not None or self.time_until is not None

    def requested_types(self) -> tuple[str, ...]:
        """Return the types in the order that decides a study's type; SR stands for SR-only studies."""
        return tuple(
            name for name in TYPE_ORDER if name in self.types or (name == "SR" and self.include_sr_only)
        )

    def to_json(self) -> JsonObject:
        """Return plain values; `parse_criteria` of them gives equal criteria."""
        values = self.model_dump(mode="json")
        if not self.date_ranges:
            del values["date_ranges"]
        return values


@dataclass(frozen=True, slots=True)
class DateWindow:
    """Study dates from a day until a day, both inclusive; None: without an end on that side."""

    date_from: date | None
    date_until: date | None


def windows(criteria: Criteria, today: date) -> list[DateWindow]:
    """Return the parts of the days that are meant, the newest first; one if they are not divided.

    Raises:
        InvalidInputError: `date_from` alone is after today.
    """
    parts = [DateWindow(part.date_from, part.date_until) for part in reversed(criteria.date_ranges)]
    return parts or [window(criteria, today)]


def window(criteria: Criteria, today: date) -> DateWindow:
    """Return the days that are meant: from alone ends today, until alone begins with everything before.

    Raises:
        InvalidInputError: `date_from` alone is after today.
    """
    if criteria.date_from is None or criteria.date_until is not None:
        return DateWindow(criteria.date_from, criteria.date_until)
    if criteria.date_from > today:
        raise InvalidInputError("date_from", f"{criteria.date_from} is after today, {today}")
    return DateWindow(criteria.date_from, today)


def parse_criteria(data: Mapping[str, object], prefix: str = "") -> Criteria:
    """Validate criteria from outside.

    Raises:
        InvalidInputError: Names the field, dotted below `prefix`, and holds a sentence on what is wrong.
    """
    try:
        return Criteria.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
    parts = [str(part) for part in first["loc"]]
    name = ".".join(part for part in (prefix, *parts) if part)[:_MAX_NAME_LENGTH]
    sentence = _SENTENCES.get(first["type"])
    raise InvalidInputError(name, sentence(first.get("ctx", {})) if sentence else first["msg"])


def _at(field: str, sentence: str) -> ValidationError:
    """Return an error of one field, found where all fields are seen."""
    details = InitErrorDetails(type=wrong(sentence), loc=(field,), input=None)
    return ValidationError.from_exception_data("Criteria", [details])


_SENTENCES: Mapping[str, Callable[[JsonObject], str]] = {
    "bool_type": lambda _: "must be true or false",
    "extra_forbidden": lambda _: "is not a known field",
    "literal_error": lambda _: f"must be one of {', '.join(CODES)}",
    "model_type": lambda _: "must be an object with the fields of criteria",
    "string_too_long": lambda ctx: f"must have at most {ctx['max_length']} characters",
    "string_type": lambda _: "must be text",
    "too_long": lambda ctx: f"must have at most {ctx['max_length']} items",
    "tuple_type": lambda _: "must be a list",
}
