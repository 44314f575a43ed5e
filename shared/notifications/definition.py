"""An address and what is sent there: one validation for the page, the command line and HTTP. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationError,
)

from shared.contract.criteria_fields import format_time, parse_time
from shared.contract.envelope import invalid
from shared.node_access.limits import TIME_ZONE_MAX_LENGTH, parse_zone
from shared.nodes.names import NAME_MAX_LENGTH, checked_name, trimmed
from shared.notifications.kinds import NoticeKind

#: The values of `NoticeKind`, and the ends of jobs.
KindName = Literal["schedule", "coverage", "store", "dead_letters", "node", "job"]
Outcome = Literal["completed", "incomplete", "failed"]
#: Languages in which the page is written as well (ISO 639-1).
Language = Literal["en", "de"]


def _time_zone(value: str) -> str:
    parse_zone(value)
    return value


def _digest_at(value: str) -> str:
    return format_time(parse_time(value)) if value else ""


def _unique(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class AddressInput(BaseModel):
    """An address of notifications, as somebody adds or edits it."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Annotated[
        str,
        BeforeValidator(trimmed),
        AfterValidator(checked_name),
        Field(max_length=NAME_MAX_LENGTH, description="A name of its own, such as “my mail”."),
    ]
    address: Annotated[str, BeforeValidator(trimmed)] = Field(
        min_length=1,
        max_length=1000,
        repr=False,
        description="An e-mail address, or a URL of apprise such as mailtos://…, slack://…, jsons://…; it is "
        "encrypted, and never returned.",
    )
    kinds: Annotated[list[KindName], AfterValidator(_unique)] = Field(
        min_length=1, max_length=len(NoticeKind), description="Of what it is notified."
    )
    outcomes: Annotated[list[Outcome], AfterValidator(_unique)] = Field(
        default=["incomplete", "failed"], max_length=3, description="Of which ends of jobs, for the kind job."
    )
    digest_at: Annotated[str, Field(max_length=8), BeforeValidator(trimmed), AfterValidator(_digest_at)] = (
        Field("", description="The time of a daily digest, such as 07:00; empty: at once.")
    )
    time_zone: Annotated[
        str, Field(max_length=TIME_ZONE_MAX_LENGTH), BeforeValidator(trimmed), AfterValidator(_time_zone)
    ] = Field("", description="Of the IANA database, as Europe/Berlin; empty: that of the site.")
    language: Language = Field("en", description="In which the messages are written (ISO 639-1).")
    paused: StrictBool = Field(
        False, description="Nothing is sent; what happens meanwhile is not sent later."
    )


def parse_address_input(data: Mapping[str, object]) -> AddressInput:
    """Validate an address and what is sent there.

    Raises:
        InvalidInputError: a value is missing or malformed; names the field.
    """
    try:
        return AddressInput.model_validate(dict(data))
    except ValidationError as error:
        raise invalid(error) from None
