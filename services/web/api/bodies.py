"""Bodies of requests: commands, nodes and schedules, without what the address and the token hold.

So a field has one definition, in the contract; a new one is in the API by itself.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, create_model

from shared.contract.messages import RunQuery, RunRetrieve
from shared.nodes.nodes import NodeInput
from shared.notifications.definition import AddressInput
from shared.schedules.definition import ScheduleInput


def body_of(model: type[BaseModel], *, name: str, without: Collection[str]) -> type[BaseModel]:
    """Return a model with the fields of another one but some."""
    fields: dict[str, Any] = {
        field_name: (field.rebuild_annotation(), field)
        for field_name, field in model.model_fields.items()
        if field_name not in without
    }
    config = ConfigDict(frozen=True, extra="forbid")
    return create_model(name, __config__=config, __doc__=model.__doc__, **fields)


QueryBody = body_of(RunQuery, name="RunQueryBody", without=("requested_by",))
RetrieveBody = body_of(RunRetrieve, name="RunRetrieveBody", without=("query_id", "requested_by"))


class NodeChange(BaseModel):
    """The fields of a node that change; those that are left out stay. Validated as a whole node."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra=lambda schema: schema.update(_change_schema(NodeInput, {"kind"})),
    )

    def changes(self) -> dict[str, object]:
        """Return the given fields."""
        return dict(self.model_extra or {})


class ScheduleChange(BaseModel):
    """The fields of a recurring query that change; those that are left out stay."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra=lambda schema: schema.update(_change_schema(ScheduleInput, ())),
    )

    def changes(self) -> dict[str, object]:
        """Return the given fields."""
        return dict(self.model_extra or {})


class AddressChange(BaseModel):
    """The fields of an address of notifications that change; those that are left out stay."""

    model_config = ConfigDict(
        frozen=True,
        extra="allow",
        json_schema_extra=lambda schema: schema.update(_change_schema(AddressInput, ())),
    )

    def changes(self) -> dict[str, object]:
        """Return the given fields."""
        return dict(self.model_extra or {})


def _change_schema(model: type[BaseModel], fixed: Collection[str]) -> dict[str, object]:
    schema = model.model_json_schema()
    properties = {name: value for name, value in schema["properties"].items() if name not in fixed}
    for value in properties.values():
        value.pop("default", None)
    return {"properties": properties, "additionalProperties": False, "minProperties": 1}
