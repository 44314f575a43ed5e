"""How a scripted PACS behaves: traits that always hold, and faults that strike at a given request."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]
Operation = Literal["associate", "echo", "find", "move", "get", "store"]
ListTreatment = Literal["accepted", "ignored", "first_only", "empty", "refused"]

#: A-ASSOCIATE-RJ as (result, source, reason), PS3.8 9.3.4.
REJECTIONS: dict[str, tuple[int, int, int]] = {
    "no_reason_given": (1, 1, 1),
    "application_context_name_not_supported": (1, 1, 2),
    "calling_ae_title_not_recognized": (1, 1, 3),
    "called_ae_title_not_recognized": (1, 1, 7),
    "protocol_version_not_supported": (1, 2, 2),
    "temporary_congestion": (2, 3, 1),
    "local_limit_exceeded": (2, 3, 2),
}
Rejection = Literal[
    "no_reason_given",
    "application_context_name_not_supported",
    "calling_ae_title_not_recognized",
    "called_ae_title_not_recognized",
    "protocol_version_not_supported",
    "temporary_congestion",
    "local_limit_exceeded",
]

FaultKind = Literal[
    "abort",
    "bad_data_set",
    "close",
    "delay",
    "drop_answer",
    "garbage",
    "many_modalities",
    "missing_study_uid",
    "missing_uid",
    "never_answer",
    "reject",
    "status",
    "unknown_character_set",
    "wrong_character_set",
]

#: Kinds that change one response of a C-FIND and let the request go on.
RESPONSE_FAULTS = frozenset(
    {
        "bad_data_set",
        "drop_answer",
        "many_modalities",
        "missing_study_uid",
        "missing_uid",
        "unknown_character_set",
        "wrong_character_set",
    }
)


def _status_code(value: object) -> object:
    """Return the number of a status written as text such as "0xA700" or "A700H"."""
    if isinstance(value, str):
        digits = value.strip().lower().removeprefix("0x").removesuffix("h")
        try:
            return int(digits, 16)
        except ValueError:
            return value
    return value


Status = Annotated[int, BeforeValidator(_status_code), Field(ge=0, le=0xFFFF)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0, le=3600)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Fault(_Model):
    """Something that goes wrong with requests that fit its conditions, a given number of times."""

    operation: Operation = Field(
        description="The kind of request it strikes; `store` is the PACS sending objects."
    )
    kind: FaultKind = Field(description="What goes wrong.")
    level: Level | None = Field(default=None, description="Only requests of this query/retrieve level.")
    uid: str | None = Field(
        default=None, description="Only requests that name this UID in a key, or send it."
    )
    code: str | None = Field(default=None, description="Only requests that name this modality code.")
    calling_ae_title: str | None = Field(default=None, description="Only requests from this AE title.")
    answer: str | None = Field(
        default=None,
        description="Strikes a find at each response about this UID, or below it, instead of at requests.",
    )
    nth: int | None = Field(
        default=None, ge=1, description="First strikes at the nth fitting request (1 is the first)."
    )
    every: int = Field(default=1, ge=1, description="From then on strikes at every nth fitting request.")
    times: int | None = Field(
        default=1, ge=1, description="How often it strikes; absent in a file means once."
    )
    always: bool = Field(default=False, description="Strikes without end, whatever `times` is.")
    after_responses: int = Field(
        default=0, ge=0, description="Responses (objects, for moves) that go out before it."
    )
    status: Status = Field(
        default=0xA700, description="The status code of kind `status`, as number or as 0x text."
    )
    comment: str | None = Field(
        default=None, max_length=64, description="Error Comment sent with kind `status`."
    )
    delay_s: Seconds = Field(default=1.0, description="The pause of kind `delay`.")
    rejection: Rejection = Field(default="local_limit_exceeded", description="The reason of kind `reject`.")

    @model_validator(mode="after")
    def _fits_its_operation(self) -> Self:
        if (self.kind == "reject") != (self.operation == "associate") and self.kind == "reject":
            raise ValueError("kind: only operation `associate` can be rejected")
        if self.kind in RESPONSE_FAULTS and self.operation != "find":
            raise ValueError(f"kind: {self.kind} changes a response of a C-FIND, operation must be `find`")
        if self.answer is not None and self.operation != "find":
            raise ValueError("answer: only a C-FIND has such responses, operation must be `find`")
        if self.operation == "store" and self.kind == "garbage":
            raise ValueError("kind: objects are sent whole or not at all")
        if self.operation == "associate" and self.kind in {"status", "garbage"}:
            raise ValueError(f"kind: an association has no {self.kind}")
        return self


class Behaviour(_Model):
    """The traits and faults of a scripted PACS; the default is a PACS that does everything right."""

    # C-FIND: what is matched and returned
    modalities_in_study: Literal["matched", "returned", "absent", "matched_not_returned"] = Field(
        default="matched",
        description="(0008,0061): matched and returned, only returned, neither, or only matched.",
    )
    code_matching: Literal["any_value", "first_value", "whole_list", "empty"] = Field(
        default="any_value",
        description="What (0008,0061) is compared with: any value of a study, its first, all as one text; or "
        "no study has any code.",
    )
    modalities_returned: Literal["all", "first", "last"] = Field(
        default="all", description="The values of (0008,0061) that responses have."
    )
    date_matching: Literal[
        "standard", "last_day_excluded", "first_day_excluded", "first_day_only", "ranges_only"
    ] = Field(
        default="standard",
        description="Study Date: as in the standard; ranges without their last or first day, or of their "
        "first alone; or no study has a single date.",
    )
    blank_modalities_for: frozenset[str] = Field(
        default=frozenset(), description="Studies whose (0008,0061) is returned without value."
    )
    code_lists: ListTreatment = Field(
        default="accepted", description="Several codes in (0008,0061) or (0008,0060) in one request."
    )
    study_modality_key: Literal["ignored", "needed", "refused"] = Field(
        default="ignored",
        description="(0008,0060) at study level: ignored, needed (without it no study matches), or refused.",
    )
    uid_lists_study: ListTreatment = Field(default="accepted", description="Lists of UIDs in a STUDY query.")
    uid_lists_series: ListTreatment = Field(
        default="accepted", description="Lists of UIDs in a SERIES query."
    )
    uid_lists_image: ListTreatment = Field(default="accepted", description="Lists of UIDs in an IMAGE query.")
    uid_list_maximum: int | None = Field(
        default=None, ge=1, description="More UIDs than this in one key are refused with `refusal_status`."
    )
    relational: Literal["refused", "empty", "negotiated", "always"] = Field(
        default="negotiated",
        description="Queries without the key of a higher level: refused, empty, if negotiated, always taken.",
    )
    refusal_status: Status = Field(default=0xA900, description="The status of everything that is `refused`.")
    not_matched: frozenset[str] = Field(
        default=frozenset(),
        description="Keywords that are ignored as matching keys (as `StudyDate` or `SERIES.Modality`).",
    )
    not_returned: frozenset[str] = Field(
        default=frozenset(),
        description="Keywords left out of responses (as `StudyDescription` or `IMAGE.SOPClassUID`).",
    )
    refused_keys: frozenset[str] = Field(
        default=frozenset(),
        description="Keywords whose presence in a request has it refused with `refusal_status`.",
    )
    image_level_empty_for: frozenset[str] = Field(
        default=frozenset(),
        description="Modality codes whose series have no match at IMAGE level; `*` is all.",
    )
    hidden: frozenset[str] = Field(
        default=frozenset(),
        description="Series and objects (UIDs) that are counted but never returned or sent.",
    )
    misnamed_series: frozenset[str] = Field(
        default=frozenset(),
        description="Series (UIDs) whose objects come with another Series Instance UID.",
    )
    misnamed_studies: frozenset[str] = Field(
        default=frozenset(),
        description="Studies (UIDs) whose series come with another Study Instance UID.",
    )
    count_error: int = Field(
        default=0, description="Added to the numbers of series and objects that responses announce."
    )
    count_error_for: frozenset[str] = Field(
        default=frozenset(), description="Only studies whose numbers are so wrong; empty is all."
    )
    character_set: Literal["ISO_IR 6", "ISO_IR 100", "ISO_IR 192"] = Field(
        default="ISO_IR 192",
        description="The character set of responses; what it cannot encode becomes a question mark.",
    )

    # C-FIND: how many, in what order, how fast
    cap: int | None = Field(default=None, ge=0, description="The largest number of matches for one request.")
    cap_levels: frozenset[Level] = Field(
        default=frozenset({"STUDY", "SERIES", "IMAGE"}), description="The levels at which `cap` holds."
    )
    cap_effect: Literal["silent", "refuse_after", "refuse_at_once", "warn", "abort", "never_answer"] = Field(
        default="silent",
        description="Beyond the cap: success, `cap_status` after the matches or without any, 0xB001, "
        "an A-ABORT, or nothing more.",
    )
    cap_status: Status = Field(default=0xA700, description="The status of a refusal for too many matches.")
    widest_window_days: int | None = Field(
        default=None,
        ge=1,
        description="STUDY queries over more days (or without dates) find nothing and report success.",
    )
    duplicate_every: int = Field(
        default=0, ge=0, description="Every nth match is returned twice; 0 is never."
    )
    descending: bool = Field(default=False, description="Newest studies first.")
    answer_delay_s: Seconds = Field(default=0.0, description="A pause before each match of a C-FIND.")
    request_delay_s: Seconds = Field(default=0.0, description="A pause before each request is served.")

    # Associations
    services: frozenset[Literal["echo", "find", "move", "get", "patient_root"]] = Field(
        default=frozenset({"echo", "find", "move", "get", "patient_root"}), description="What is negotiated."
    )
    maximum_associations: int | None = Field(
        default=None, ge=0, description="Associations at once; more are rejected."
    )
    maximum_associations_per_ae_title: int | None = Field(
        default=None, ge=0, description="The same for each calling AE title."
    )
    limit_rejection: Rejection = Field(
        default="local_limit_exceeded", description="How those beyond the limit are rejected."
    )
    reject_associations: Rejection | None = Field(
        default=None, description="Rejects every association, with this reason."
    )
    calling_ae_titles: frozenset[str] = Field(
        default=frozenset(),
        description="Only these may call (permanent rejection of others); empty is anyone.",
    )
    require_called_ae_title: bool = Field(
        default=False, description="Rejects calls that name another AE title."
    )
    maximum_pdu_bytes: int = Field(
        default=131_072, ge=0, description="The largest PDU accepted; 0 is no limit."
    )
    idle_timeout_s: float | None = Field(
        default=60.0,
        gt=0,
        description="An association without traffic for so long is aborted; empty is never.",
    )
    cancel: Literal["honoured", "ignored"] = Field(
        default="honoured", description="C-CANCEL of finds, moves and gets."
    )

    # C-MOVE and C-GET
    without_bulk_data: bool = Field(
        default=False,
        description="Beside the service get: C-GET of objects without bulk data (PS3.4 annex Z).",
    )
    move_levels: frozenset[Level] = Field(
        default=frozenset({"STUDY", "SERIES", "IMAGE"}),
        description="Levels that can be moved; others are refused.",
    )
    move_uid_lists: ListTreatment = Field(
        default="accepted", description="Lists of UIDs in a C-MOVE or C-GET."
    )
    move_status: Status | None = Field(default=None, description="The final status, whatever happened.")
    move_refused_with: Status | None = Field(
        default=None, description="Every move gets this status, and nothing is sent."
    )
    unknown_destination_status: Status = Field(
        default=0xA801, description="The status for an unknown destination."
    )
    move_counters: Literal["all", "final_only", "absent", "zero", "doubled"] = Field(
        default="all",
        description="The sub-operation counters: in all responses, only in the last, in none, or wrong ones.",
    )
    move_pending: bool = Field(default=True, description="0xFF00 after each object.")
    move_failed_list: bool = Field(
        default=True, description="(0008,0058) Failed SOP Instance UID List with a warning or failure."
    )
    move_nothing: bool = Field(
        default=False, description="Success with zero sub-operations, and nothing is sent."
    )
    move_later_s: Seconds | None = Field(
        default=None,
        description="Responds with success at once and sends after this pause, as a queueing archive does.",
    )
    move_limit: int | None = Field(default=None, ge=0, description="Moves at once; more are refused.")
    move_limit_status: Status = Field(default=0xA702, description="The refusal of moves beyond the limit.")
    never_arrive: frozenset[str] = Field(
        default=frozenset(), description="Objects (UIDs) that are counted as sent and never are."
    )
    never_arrive_fraction: Fraction = Field(default=0.0, description="The same for this part of all objects.")
    fail: frozenset[str] = Field(
        default=frozenset(), description="Objects (UIDs) that are counted as failed and not sent."
    )
    fail_fraction: Fraction = Field(default=0.0, description="The same for this part of all objects.")
    fail_times: int | None = Field(
        default=None,
        ge=1,
        description="An object fails or is lost so often and is sent then; empty is always.",
    )
    extra_objects: int = Field(
        default=0, ge=0, description="Objects of the same study sent beside those requested."
    )
    foreign_objects: int = Field(
        default=0, ge=0, description="Objects of other studies sent beside those requested."
    )
    store_pause_s: Seconds = Field(default=0.0, description="A pause before each object is sent.")
    association_per_object: bool = Field(
        default=False, description="Opens a new association for each object."
    )
    store_twice: bool = Field(default=False, description="Sends every object twice.")

    faults: tuple[Fault, ...] = Field(
        default=(), description="What goes wrong, in the order of the file; the first that fits strikes."
    )

    def treatment_of_uid_lists(self, level: str) -> ListTreatment:
        """Return how lists of UIDs are treated in a query of this level."""
        return {"SERIES": self.uid_lists_series, "IMAGE": self.uid_lists_image}.get(
            level, self.uid_lists_study
        )

    @staticmethod
    def names(keywords: frozenset[str], level: str, keyword: str) -> bool:
        """Return whether a set of keywords names this one, for all levels or for this level."""
        return keyword in keywords or f"{level}.{keyword}" in keywords
