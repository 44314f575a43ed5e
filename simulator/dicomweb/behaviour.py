"""How a scripted PACS behaves over DICOMweb: traits that always hold, and faults that strike requests."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.behaviour import Seconds

Resource = Literal["studies", "series", "instances", "retrieve", "metadata"]
WebFaultKind = Literal[
    "status",
    "delay",
    "no_content",
    "no_matches",
    "empty_body",
    "html",
    "truncated",
    "cut",
    "cut_at_once",
    "chunked",
    "chunked_and_cut",
    "drip",
    "gzip",
    "huge",
    "cut_part",
    "double_part",
    "missing_part",
    "wrong_uid",
    "boundary_in_content",
]


class _WebModel(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class WebFault(_WebModel):
    """Something that goes wrong with requests for some resources, a given number of times."""

    kind: WebFaultKind = Field(description="What goes wrong.")
    resources: tuple[Resource, ...] = Field(
        default=("studies",),
        description="The requests it strikes: searches by what they return, `retrieve`, or `metadata`.",
    )
    nth: int = Field(default=1, ge=1, description="First strikes at the nth request for these resources.")
    times: int = Field(default=1, ge=1, description="How often it strikes.")
    always: bool = Field(default=False, description="Strikes without end, whatever `times` is.")
    status: int = Field(default=500, ge=200, le=599, description="The HTTP status of kind `status`.")
    headers: dict[str, str] = Field(
        default_factory=dict, description="Headers of kind `status`, as `Retry-After`."
    )
    delay_s: Seconds = Field(default=1.0, description="The pause of kind `delay`.")


class WebBehaviour(_WebModel):
    """The traits and faults of a DICOMweb server; the default is one that does everything right."""

    page_maximum: int | None = Field(
        default=None, ge=1, description="The largest number of matches of one page, whatever `limit` says."
    )
    default_limit: int | None = Field(
        default=None, ge=1, description="The number of matches of a page where a request has no `limit`."
    )
    total_maximum: int | None = Field(
        default=None, ge=1, description="Matches behind this one are never returned, and nothing says so."
    )
    more: Literal["silent", "warning", "partial_content"] = Field(
        default="silent",
        description="A page that is not the last: nothing says so, `Warning: 299` does, or status 206.",
    )
    limit: Literal["accepted", "ignored"] = Field(default="accepted", description="The parameter `limit`.")
    limit_maximum: int | None = Field(
        default=None, ge=1, description="A larger `limit` is refused with status 400."
    )
    offset: Literal["accepted", "ignored", "refused", "empty_by_modality"] = Field(
        default="accepted",
        description="The parameter `offset`; refused with status 400, or nothing behind it by modality.",
    )
    empty: Literal["list", "no_content", "no_body"] = Field(
        default="list", description="A search without matches: `[]`, status 204, or 200 without a body."
    )
    refused_keys: frozenset[str] = Field(
        default=frozenset(), description="Keywords whose presence has a search refused with `refusal_status`."
    )
    refused_values: frozenset[str] = Field(
        default=frozenset(),
        description="Keywords that may be in `includefield`, and with a value have a search refused.",
    )
    refused_ranges: frozenset[str] = Field(
        default=frozenset(), description="Keywords of dates and times that have a range refused."
    )
    refusal_status: int = Field(default=400, ge=400, le=599, description="The status of such a refusal.")
    not_matched: frozenset[str] = Field(
        default=frozenset(), description="Keywords that are ignored as matching keys."
    )
    includefield: Literal["accepted", "ignored"] = Field(
        default="accepted", description="Whether more is returned than what is returned anyway."
    )
    not_returned: frozenset[str] = Field(default=frozenset(), description="Keywords that no match has.")
    not_returned_once: frozenset[str] = Field(
        default=frozenset(), description="Keywords that the first study of each page lacks."
    )
    as_bulk_data: frozenset[str] = Field(
        default=frozenset(), description="Keywords whose values are returned as a BulkDataURI."
    )
    twice: bool = Field(default=False, description="Returns every match twice, one after the other.")
    pixel_data: Literal["bulk_data", "inline", "absent"] = Field(
        default="bulk_data",
        description="(7FE0,0010) in `/metadata`: a BulkDataURI, the pixels themselves, or nothing.",
    )
    authorization: tuple[str, ...] = Field(
        default=(), description="Authorization headers that are accepted; empty is any, and none."
    )
    token_requests: int | None = Field(
        default=None, ge=1, description="After so many requests an Authorization header is refused for good."
    )
    faults: tuple[WebFault, ...] = Field(
        default=(), description="What goes wrong, in the order of the file; the first that fits strikes."
    )
