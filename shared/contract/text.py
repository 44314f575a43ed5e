"""Types and base classes that commands and events share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

#: The largest id of a row.
MAX_ROW_ID = 2**31 - 1
MAX_NODE_NAME_LENGTH = 64


def _node_reference(value: object) -> int | str:
    if isinstance(value, str) and len(value) <= MAX_NODE_NAME_LENGTH:
        return value
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_ROW_ID:
        return value
    raise PydanticCustomError("node_reference", "must be the id or the name of a node")


NodeReference = Annotated[
    int | str,
    PlainValidator(_node_reference),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MAX_ROW_ID},
                {"type": "string", "maxLength": MAX_NODE_NAME_LENGTH},
            ],
            "description": "A node's numeric id or its name.",
        }
    ),
]
UidText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]
Text = Annotated[str, Field(max_length=1000)]

JobKind = Literal["query", "retrieve"]
JobStatus = Literal["queued", "running", "completed", "incomplete", "failed", "cancelled"]
ENDED: frozenset[str] = frozenset({"completed", "incomplete", "failed", "cancelled"})

JobPriority = Literal["interactive", "background"]
INTERACTIVE: JobPriority = "interactive"
BACKGROUND: JobPriority = "background"
Priority = Annotated[
    JobPriority,
    Field(description="background: nobody waits for it, so others go before."),
]


Round = Annotated[int, Field(ge=0, description="How often the job was run again before.")]


class Payload(BaseModel):
    """The data of one message."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]


#: What is kept of an object: all of it, or all but its bulk data.
Content = Literal["whole", "headers"]


class ObjectReference(BaseModel):
    """One object by its three UIDs."""

    model_config = ConfigDict(frozen=True)

    study_instance_uid: UidText
    series_instance_uid: UidText
    sop_instance_uid: UidText
    sop_class_uid: UidText | None = None


class StoredObject(ObjectReference):
    """One object that is safely on disk."""

    transfer_syntax_uid: str = ""
    path: str = Field("", description="Below the folder of objects of the store.")
    size_bytes: int = 0
    content: Content = Field(
        "whole",
        exclude_if=lambda content: content == "whole",
        description="headers: its bulk data was left out (docs/headers.md); absent: all of it is there.",
    )


class StoreState(BaseModel):
    """Whether DoseQR's own store can take objects, and the space that is left."""

    model_config = ConfigDict(frozen=True)

    problem: str = Field("", description="Why objects cannot be written now; empty where they can.")
    read_only: bool = Field(False, description="Whether the disk of the objects is mounted read-only.")
    objects_free_bytes: int | None = Field(None, description="Bytes free on the disk of the objects.")
    objects_reserve_bytes: int | None = Field(
        None, description="Bytes of these that the store leaves free; absent from version 0.2 and before."
    )
    database_free_bytes: int | None = Field(
        None, description="Bytes free on the disk of a SQLite database; absent for one on a server."
    )
    refused_recently: int = Field(
        0, description="Objects that were refused in the last minute because of this machine."
    )


class ClaimedTask(BaseModel):
    """A task that a worker works on now."""

    model_config = ConfigDict(frozen=True)

    job_id: str
    task_id: int
    kind: str
    since: str = Field("", description="RFC 3339.")
