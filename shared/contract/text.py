"""Words that commands and events share."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

NodeReference = Annotated[
    int | str, Field(description="A node's numeric id or its name.", union_mode="left_to_right")
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


Round = Annotated[int, Field(ge=0, description="How often the job was asked again before.")]


class Payload(BaseModel):
    """The data of one message."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]


class ObjectReference(BaseModel):
    """One object by its three UIDs."""

    model_config = ConfigDict(frozen=True)

    study_instance_uid: UidText
    series_instance_uid: UidText
    sop_instance_uid: UidText
    sop_class_uid: UidText | None = None
