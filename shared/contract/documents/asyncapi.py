"""The public contract as an AsyncAPI 3 document: servers, channels, operations with replies, messages."""

from __future__ import annotations

from collections.abc import Mapping

from shared.contract.envelope import MAX_BODY_BYTES
from shared.contract.json_types import JsonDocument
from shared.contract.messages import (
    COMMANDS,
    EVENTS,
    AskAgain,
    CancelJob,
    Command,
    DrainWorkers,
    EchoNodes,
    Event,
    PauseJob,
    PauseNode,
    Payload,
    PingWorkers,
    ProfileNode,
    RaiseJob,
    RegisterObjects,
    RequestResult,
    RequestStatus,
    ResumeJob,
    ResumeNode,
    ResumeWorkers,
    RetryHandover,
    RunQuery,
    RunRetrieve,
    SetLogLevel,
)
from shared.contract.reasons import Kind, Reason, kind, sentence
from shared.contract.schemas import JSON_SCHEMA, routing_keys

#: Version of the document: that of the messages.
ASYNCAPI_VERSION = "1"

CONTENT_TYPE = "application/cloudevents+json"
#: Version of the AMQP bindings of AsyncAPI.
_BINDING = "0.3.0"

_ENDS = ("Completed", "Incomplete", "Failed", "Cancelled")
_JOB_ENDS = ("Accepted", "Progress", *_ENDS, "Rejected")
#: The events that follow a command, by name of their class; only messages to workers are never rejected.
REPLIES: Mapping[type[Command], tuple[str, ...]] = {
    EchoNodes: ("NodeStatus", "EchoCompleted", "Rejected"),
    RunQuery: ("StudiesDecided", *_JOB_ENDS),
    RunRetrieve: _JOB_ENDS,
    CancelJob: (*_ENDS, "Rejected"),
    PauseJob: ("Paused", *_ENDS, "Rejected"),
    ResumeJob: ("Resumed", *_ENDS, "Rejected"),
    RaiseJob: ("Raised", *_ENDS, "Rejected"),
    PauseNode: ("NodePaused", "Rejected"),
    ResumeNode: ("NodeResumed", "Rejected"),
    RequestStatus: ("StatusRead", "Rejected"),
    RequestResult: ("ResultRead", "Rejected"),
    AskAgain: ("StudiesDecided", *_JOB_ENDS),
    ProfileNode: ("NodeProfiled", "Rejected"),
    RegisterObjects: ("ObjectsRegistered", "Rejected"),
    RetryHandover: ("HandoverRetried", "Rejected"),
    PingWorkers: ("WorkerStatus",),
    DrainWorkers: ("WorkerStatus",),
    ResumeWorkers: ("WorkerStatus",),
    SetLogLevel: ("WorkerStatus",),
}


def asyncapi(version: str, examples: Mapping[str, JsonDocument]) -> JsonDocument:
    """Return the AsyncAPI 3 document of the installation whose names start with `doseqr`.

    `examples` has a message as it travels for each type.
    """
    return {
        "asyncapi": "3.0.0",
        "id": "urn:doseqr:messages",
        "info": {
            "title": "DoseQR",
            "version": version,
            "description": "Commands to DoseQR's services and the events they publish, as CloudEvents 1.0"
            " in structured JSON over RabbitMQ. Names start with DOSEQR_AMQP_PREFIX.",
            "tags": [{"name": "commands"}, {"name": "events"}],
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": _servers(),
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": {
                payload.TYPE: _message(payload, examples[payload.TYPE]) for payload in (*COMMANDS, *EVENTS)
            },
            "schemas": {"reason": _reasons(), "headers": _headers()},
            "correlationIds": {
                "job": {
                    "description": "Of a command, its id, which becomes that of the job; of an event, the id "
                    "of the job or command that it is about, the same as its subject.",
                    "location": "$message.header#/correlation_id",
                }
            },
            "securitySchemes": {
                "password": {"type": "userPassword", "description": "A user of RabbitMQ."},
                "certificate": {"type": "X509", "description": "Where the broker wants one."},
            },
        },
    }


def _servers() -> JsonDocument:
    security = [{"$ref": "#/components/securitySchemes/password"}]
    return {
        "amqp": {
            "host": "{host}:5672",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "description": "RabbitMQ 3.10 to 4.x (DOSEQR_AMQP_URL).",
            "variables": {"host": {"default": "127.0.0.1", "description": "Host of the broker."}},
            "security": security,
        },
        "amqps": {
            "host": "{host}:5671",
            "protocol": "amqps",
            "protocolVersion": "0.9.1",
            "description": "The same over TLS 1.2 or newer.",
            "variables": {"host": {"default": "127.0.0.1", "description": "Host of the broker."}},
            "security": [*security, {"$ref": "#/components/securitySchemes/certificate"}],
        },
    }


def _headers() -> JsonDocument:
    return {
        "type": "object",
        "description": "Properties of AMQP 0-9-1 that DoseQR sets and reads.",
        "properties": {
            "content_type": {"const": CONTENT_TYPE},
            "delivery_mode": {"const": 2, "description": "Persistent."},
            "message_id": {"type": "string", "maxLength": 64, "description": "The id of the CloudEvent."},
            "correlation_id": {
                "type": "string",
                "maxLength": 128,
                "description": "Of an event: the id of the job or command.",
            },
        },
    }


def _reasons() -> JsonDocument:
    """Return the codes in `reason`, `failure` and `missing`, each with its sentence."""
    return {
        "description": "Stable codes for programs; more may follow.",
        "oneOf": [
            {"const": str(reason), "title": str(group), "description": sentence(reason)}
            for group in Kind
            for reason in Reason
            if kind(reason) is group
        ],
    }


def _message(payload: type[Payload], example: JsonDocument) -> JsonDocument:
    return {
        "name": payload.TYPE,
        "title": payload.__name__,
        "summary": (payload.__doc__ or "").strip(),
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": "#/components/schemas/headers"},
        "correlationId": {"$ref": "#/components/correlationIds/job"},
        "tags": [{"name": "commands" if issubclass(payload, Command) else "events"}],
        "payload": {
            "schemaFormat": f"application/schema+json;version={JSON_SCHEMA.split('/')[-2]}",
            "schema": {"$ref": f"./schemas/{payload.TYPE}.json"},
        },
        "bindings": {
            "amqp": {
                "contentEncoding": "UTF-8",
                "messageType": payload.TYPE,
                "bindingVersion": _BINDING,
            }
        },
        "examples": [{"name": "example", "summary": f"At most {MAX_BODY_BYTES} bytes.", "payload": example}],
    }


def _channels() -> JsonDocument:
    channels = {
        _command_channel(command): _channel(command.EXCHANGE, command.ROUTING_KEY, command)
        for command in COMMANDS
    }
    for event in EVENTS:
        for key in routing_keys(event):
            channels[_events_channel(key)] = _channel("events", key, event)
    channels["events.about"] = _about_channel()
    return channels


def _command_channel(command: type[Command]) -> str:
    return f"{command.EXCHANGE}.{command.ROUTING_KEY}"


def _events_channel(key: str) -> str:
    return f"events.{key.replace('.{id}', '')}"


def _channel(exchange: str, routing_key: str, payload: type[Payload]) -> JsonDocument:
    channel: JsonDocument = {
        "address": routing_key,
        "messages": {payload.__name__: {"$ref": f"#/components/messages/{payload.TYPE}"}},
        "bindings": _exchange_binding(exchange),
    }
    if "{id}" in routing_key:
        channel["parameters"] = {"id": {"description": "Id of the job or command."}}
    return channel


def _exchange_binding(exchange: str) -> JsonDocument:
    return {
        "amqp": {
            "is": "routingKey",
            "exchange": {"name": f"doseqr.{exchange}", "type": "topic", "durable": True, "vhost": "/"},
            "bindingVersion": _BINDING,
        }
    }


def _about_channel() -> JsonDocument:
    """Return the channel that everything about one job or command comes on: a queue bound to `*.*.{id}`."""
    replies = {name for names in REPLIES.values() for name in names}
    return {
        "address": "*.*.{id}",
        "description": "A binding key: everything about one job or command.",
        "messages": {
            event.__name__: {"$ref": f"#/components/messages/{event.TYPE}"}
            for event in EVENTS
            if event.__name__ in replies
        },
        "parameters": {"id": {"description": "Id of the command, which becomes that of the job."}},
        "bindings": _exchange_binding("events"),
    }


def _operations() -> JsonDocument:
    receive = {f"do{command.__name__}": _receive(command) for command in COMMANDS}
    send = {_send_name(event, key): _send(event, key) for event in EVENTS for key in routing_keys(event)}
    return receive | send


def _receive(command: type[Command]) -> JsonDocument:
    channel = f"#/channels/{_command_channel(command)}"
    is_queued = command.EXCHANGE == "commands"
    return {
        "action": "receive",
        "channel": {"$ref": channel},
        "summary": (command.__doc__ or "").strip(),
        "messages": [{"$ref": f"{channel}/messages/{command.__name__}"}],
        "bindings": {
            "amqp": {"deliveryMode": 2, "mandatory": is_queued, "ack": True, "bindingVersion": _BINDING}
        },
        "reply": {
            "channel": {"$ref": "#/channels/events.about"},
            "messages": [{"$ref": f"#/channels/events.about/messages/{name}"} for name in REPLIES[command]],
        },
    }


def _send_name(event: type[Event], key: str) -> str:
    """Return the name of an operation; of an event with several routing keys, the later ones say which."""
    first = routing_keys(event)[0] == key
    return f"tell{event.__name__}" + ("" if first else f"Of{key.partition('.')[0].title()}")


def _send(event: type[Event], key: str) -> JsonDocument:
    channel = f"#/channels/{_events_channel(key)}"
    return {
        "action": "send",
        "channel": {"$ref": channel},
        "summary": (event.__doc__ or "").strip(),
        "messages": [{"$ref": f"{channel}/messages/{event.__name__}"}],
        "bindings": {"amqp": {"deliveryMode": 2, "bindingVersion": _BINDING}},
    }
