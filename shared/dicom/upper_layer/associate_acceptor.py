"""A-ASSOCIATE (PS3.8 9.3.2 to 9.3.4) as an acceptor needs it: the request in, the response out. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.dicom.upper_layer.associate_requestor import AssociateReject, Implementation
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RJ,
    ABSTRACT_SYNTAX_ITEM,
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_ITEM,
    CONTEXT_AC_ITEM,
    CONTEXT_RQ_ITEM,
    FIXED_BYTES,
    IMPLEMENTATION_CLASS_ITEM,
    IMPLEMENTATION_VERSION_ITEM,
    MAXIMUM_LENGTH_ITEM,
    PROTOCOL_VERSION,
    TRANSFER_SYNTAX_ITEM,
    USER_INFORMATION_ITEM,
    item,
    items_of,
)
from shared.dicom.upper_layer.roles import Roles, role_item, roles_of
from shared.identifiers import Uid

#: Results of a presentation context (PS3.8 table 9-18).
ACCEPTANCE, ABSTRACT_SYNTAX_NOT_SUPPORTED, TRANSFER_SYNTAXES_NOT_SUPPORTED = 0, 3, 4

_PERMANENT, _TRANSIENT = 1, 2
_SERVICE_USER, _ACSE, _PRESENTATION = 1, 2, 3
APPLICATION_CONTEXT_NOT_SUPPORTED = AssociateReject(_PERMANENT, _SERVICE_USER, 2)
CALLING_AE_TITLE_NOT_RECOGNIZED = AssociateReject(_PERMANENT, _SERVICE_USER, 3)
PROTOCOL_VERSION_NOT_SUPPORTED = AssociateReject(_PERMANENT, _ACSE, 2)
LOCAL_LIMIT_EXCEEDED = AssociateReject(_TRANSIENT, _PRESENTATION, 2)

_TITLES = slice(4, 36)
_CALLING = slice(20, 36)


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context of an A-ASSOCIATE-RQ."""

    context_id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ."""

    protocol_version: int
    application_context: str
    #: Called and calling AE title as they came: the response repeats them.
    titles: bytes
    calling_ae_title: str
    contexts: tuple[ProposedContext, ...]
    #: Bytes of the variable field of a P-DATA-TF PDU; 0: no limit.
    maximum_length: int
    #: What the requestor proposes by SOP class; where it proposes nothing, it is SCU.
    roles: Mapping[str, Roles] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def problem(self) -> AssociateReject | None:
        """Return why nobody who keeps to the standard can accept it, or None."""
        if not self.protocol_version & PROTOCOL_VERSION:
            return PROTOCOL_VERSION_NOT_SUPPORTED
        if self.application_context != APPLICATION_CONTEXT:
            return APPLICATION_CONTEXT_NOT_SUPPORTED
        return None


@dataclass(frozen=True, slots=True)
class AcceptedContext:
    """What was agreed for a presentation context."""

    abstract_syntax: str
    transfer_syntax: str


def decode_rq(body: bytes) -> AssociateRequest:
    """Read the variable field of an A-ASSOCIATE-RQ.

    Raises:
        ProtocolError: its items do not fit.
    """
    if len(body) < FIXED_BYTES:
        raise ProtocolError("an A-ASSOCIATE-RQ is cut off")
    application_context, maximum_length = "", 0
    contexts: list[ProposedContext] = []
    roles: dict[str, Roles] = {}
    for kind, value in items_of(body[FIXED_BYTES:]):
        if kind == APPLICATION_CONTEXT_ITEM:
            application_context = _uid(value)
        elif kind == CONTEXT_RQ_ITEM:
            contexts.append(_proposed(value))
        elif kind == USER_INFORMATION_ITEM:
            maximum_length = _maximum_length(value)
            roles = roles_of(items_of(value))
    return AssociateRequest(
        protocol_version=int.from_bytes(body[:2], "big"),
        application_context=application_context,
        titles=body[_TITLES],
        calling_ae_title=body[_CALLING].decode("latin-1").strip(),
        contexts=tuple(contexts),
        maximum_length=maximum_length,
        roles=MappingProxyType(roles),
    )


def negotiate(
    request: AssociateRequest, is_supported: Callable[[str], bool]
) -> tuple[dict[int, AcceptedContext], dict[int, int]]:
    """Return the accepted contexts by ID, and the result of each proposed one (PS3.8 table 9-18).

    A context of a supported abstract syntax is accepted in the first proposed transfer syntax that is a UID.
    """
    accepted: dict[int, AcceptedContext] = {}
    results: dict[int, int] = {}
    for proposed in request.contexts:
        syntax = next(filter(_is_uid, proposed.transfer_syntaxes), None)
        if not (_is_uid(proposed.abstract_syntax) and is_supported(proposed.abstract_syntax)):
            results[proposed.context_id] = ABSTRACT_SYNTAX_NOT_SUPPORTED
        elif syntax is None:
            results[proposed.context_id] = TRANSFER_SYNTAXES_NOT_SUPPORTED
        else:
            accepted[proposed.context_id] = AcceptedContext(proposed.abstract_syntax, syntax)
            results[proposed.context_id] = ACCEPTANCE
    return accepted, results


def associate_ac(
    request: AssociateRequest,
    accepted: Mapping[int, AcceptedContext],
    results: Mapping[int, int],
    maximum_length: int,
    implementation: Implementation,
    roles: Mapping[str, Roles] = MappingProxyType({}),
) -> bytes:
    """Return the A-ASSOCIATE-AC PDU for a request; `roles` are those that are accepted of the proposed."""
    body = struct.pack(">HH", PROTOCOL_VERSION, 0) + request.titles + bytes(32)
    body += item(APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode("ascii"))
    for context_id, result in results.items():
        # Not significant where the context is not accepted, but some requestors want it to be there.
        syntax = accepted[context_id].transfer_syntax if context_id in accepted else ""
        sub_item = item(TRANSFER_SYNTAX_ITEM, syntax.encode("latin-1"))
        body += item(CONTEXT_AC_ITEM, struct.pack(">BBBB", context_id, 0, result, 0) + sub_item)
    body += item(
        USER_INFORMATION_ITEM,
        item(MAXIMUM_LENGTH_ITEM, struct.pack(">L", maximum_length))
        + item(IMPLEMENTATION_CLASS_ITEM, implementation.class_uid.encode("ascii"))
        + item(IMPLEMENTATION_VERSION_ITEM, implementation.version_name.encode("ascii"))
        + b"".join(role_item(uid, accepted_roles) for uid, accepted_roles in roles.items()),
    )
    return struct.pack(">BBL", A_ASSOCIATE_AC, 0, len(body)) + body


def associate_rj(rejected: AssociateReject) -> bytes:
    """Return an A-ASSOCIATE-RJ PDU."""
    return struct.pack(">BBLBBBB", A_ASSOCIATE_RJ, 0, 4, 0, rejected.result, rejected.source, rejected.reason)


def _proposed(value: bytes) -> ProposedContext:
    if len(value) < 4:  # noqa: PLR2004 - PS3.8 table 9-13
        raise ProtocolError("a presentation context of an A-ASSOCIATE-RQ is cut off")
    abstract_syntax, transfer_syntaxes = "", []
    for kind, name in items_of(value[4:]):
        if kind == ABSTRACT_SYNTAX_ITEM:
            abstract_syntax = _uid(name)
        elif kind == TRANSFER_SYNTAX_ITEM:
            transfer_syntaxes.append(_uid(name))
    return ProposedContext(value[0], abstract_syntax, tuple(transfer_syntaxes))


def _maximum_length(value: bytes) -> int:
    for kind, sub_value in items_of(value):
        if kind == MAXIMUM_LENGTH_ITEM and len(sub_value) == 4:  # noqa: PLR2004 - PS3.8 D.1.1
            return int.from_bytes(sub_value, "big")
    return 0


def _uid(value: bytes) -> str:
    return value.decode("latin-1").strip("\0 ")


def _is_uid(text: str) -> bool:
    return Uid.problem_of(text) is None
