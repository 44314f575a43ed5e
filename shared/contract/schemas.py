"""The public contract as documents: a JSON Schema for each message; made from the classes."""

from __future__ import annotations

from shared.contract.criteria import Criteria
from shared.contract.envelope import TIME_PATTERN, Envelope
from shared.contract.json_types import JsonDocument
from shared.contract.messages import COMMANDS, EVENTS, Command, Event, Payload
from shared.tracing.trace_context import MAX_CAUSE_LENGTH, MAX_TRACESTATE_LENGTH, TRACEPARENT_PATTERN

JSON_SCHEMA = "https://json-schema.org/draft/2020-12/schema"

#: The extensions of an event. A command may hold anything in them; what is malformed there is ignored.
_TRACE_ATTRIBUTES: JsonDocument = {
    "traceparent": {
        "type": "string",
        "pattern": TRACEPARENT_PATTERN,
        "description": "The trace that it belongs to (W3C Trace Context; CloudEvents Distributed Tracing).",
    },
    "tracestate": {
        "type": "string",
        "maxLength": MAX_TRACESTATE_LENGTH,
        "description": "What vendors keep with the trace (CloudEvents Distributed Tracing).",
    },
    "causationid": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_CAUSE_LENGTH,
        "description": "The id of the message that caused it (CloudEvents Correlation).",
    },
}


def message_schema(payload: type[Payload]) -> JsonDocument:
    """Return the JSON Schema of one message as it travels: the envelope with its data."""
    data = payload.model_json_schema(mode="serialization" if issubclass(payload, Event) else "validation")
    if "criteria" in data.get("properties", {}):
        criteria = Criteria.model_json_schema()
        data.setdefault("$defs", {}).update(criteria.pop("$defs", {}))
        data["$defs"]["Criteria"] = criteria
        data["properties"]["criteria"] = {"$ref": "#/$defs/Criteria"}
    definitions = data.pop("$defs", {})
    envelope = Envelope.model_json_schema()
    envelope["properties"]["type"] = {"const": payload.TYPE}
    envelope["properties"]["data"] = data
    for name, attribute in _TRACE_ATTRIBUTES.items():
        about = {"description": attribute["description"]}
        envelope["properties"][name] = attribute if issubclass(payload, Event) else about
    if issubclass(payload, Event) or data.get("required"):
        envelope["required"] = sorted({*envelope["required"], "data"})
    if issubclass(payload, Command):
        time = {"type": "string", "pattern": TIME_PATTERN}
        envelope["properties"]["time"] = {"anyOf": [time, {"type": "null"}], "default": None}
        envelope["properties"]["data_base64"] = False
    head = {"$schema": JSON_SCHEMA, "$id": payload.TYPE, "title": payload.__name__}
    head["description"] = (payload.__doc__ or "").strip()
    body = {key: value for key, value in envelope.items() if key not in ("title", "description")}
    return head | body | ({"$defs": definitions} if definitions else {})


def schemas() -> dict[str, JsonDocument]:
    """Return every schema of the public contract by the type of its message."""
    return {payload.TYPE: message_schema(payload) for payload in (*COMMANDS, *EVENTS)}


def routing_keys(event: type[Event]) -> list[str]:
    """Return the routing keys under which an event is published; `{id}` is the job's or command's id."""
    return [f"{topic}.{event.NAME}{suffix}" for topic, suffix in _topics(event)]


def _topics(event: type[Event]) -> list[tuple[str, str]]:
    if "kind" in event.model_fields and "job_id" in event.model_fields:
        return [("query", ".{id}"), ("retrieve", ".{id}")]
    return {
        "StudiesDecided": [("query", ".{id}")],
        "Rejected": [("command", ".{id}")],
        "NodeStatus": [("echo", ".{id}")],
        "EchoCompleted": [("echo", ".{id}")],
        "NodePaused": [("node", ".{id}")],
        "NodeResumed": [("node", ".{id}")],
        "NodeProfiled": [("profile", ".{id}")],
        "ObjectsStored": [("objects", "")],
        "ObjectsRegistered": [("objects", ".{id}")],
        "HandoverRetried": [("handover", ".{id}")],
        "WorkerHeartbeat": [("worker", "")],
        "WorkerStatus": [("worker", ".{id}")],
    }[event.__name__]
