"""A-ASSOCIATE (PS3.8 9.3.2 to 9.3.4) as a requestor needs it: the request out, the response in. Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from shared.dicom.upper_layer.errors import ProtocolError
from shared.dicom.upper_layer.pdu import (
    A_ASSOCIATE_RQ,
    ABSTRACT_SYNTAX_ITEM,
    APPLICATION_CONTEXT,
    APPLICATION_CONTEXT_ITEM,
    CONTEXT_AC_ITEM,
    CONTEXT_RQ_ITEM,
    EXTENDED_NEGOTIATION_ITEM,
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

#: Service class application information of an SCU that proposes relational queries (PS3.4 C.5.1.1).
_RELATIONAL = b"\x01"

_ACCEPTANCE = 0

#: In the order of preference: what every PACS has to take comes first.
TRANSFER_SYNTAXES = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN)

#: An abstract syntax, and the transfer syntaxes of which the peer takes one.
Proposal = tuple[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """An A-ASSOCIATE-AC: the transfer syntax of each accepted context by its ID, and the peer's PDU limit."""

    contexts: Mapping[int, str]
    #: Why contexts were not accepted, by ID (PS3.8 table 9-18).
    refusals: Mapping[int, int]
    #: Bytes of the variable field of a P-DATA-TF PDU; 0: no limit.
    maximum_length: int
    #: Those of the proposed roles that the peer accepts, by SOP class.
    roles: Mapping[str, Roles] = field(default_factory=lambda: MappingProxyType({}))
    #: What it responds to.
    proposals: Sequence[Proposal] = ()

    def agreed(self) -> dict[int, tuple[str, str]]:
        """Return abstract and transfer syntax of each context that is accepted as it was proposed."""
        return {
            context_id: (abstract_syntax, self.contexts[context_id])
            for place, (abstract_syntax, transfer_syntaxes) in enumerate(self.proposals)
            if self.contexts.get(context_id := context_id_of(place)) in transfer_syntaxes
        }


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class Implementation:
    """Who speaks (PS3.7 D.3.3.2)."""

    class_uid: str
    version_name: str


def associate_rq(
    called_ae_title: str,
    calling_ae_title: str,
    proposals: Sequence[Proposal],
    maximum_length: int,
    implementation: Implementation,
    *,
    relational: bool = False,
    taken: Sequence[str] = (),
) -> bytes:
    """Return an A-ASSOCIATE-RQ PDU; the contexts have the IDs 1, 3, 5… in the order of the proposals.

    `relational` proposes relational queries in each of them; of the classes `taken` we are the SCP.
    """
    user_information = (
        item(MAXIMUM_LENGTH_ITEM, struct.pack(">L", maximum_length))
        + item(IMPLEMENTATION_CLASS_ITEM, implementation.class_uid.encode("ascii"))
        + item(IMPLEMENTATION_VERSION_ITEM, implementation.version_name.encode("ascii"))
    )
    if relational:
        user_information += b"".join(_relational_item(abstract_syntax) for abstract_syntax, _ in proposals)
    user_information += b"".join(role_item(uid, Roles(scu=False, scp=True)) for uid in taken)
    body = struct.pack(
        ">HH16s16s32x",
        PROTOCOL_VERSION,
        0,
        called_ae_title.encode("ascii").ljust(16),
        calling_ae_title.encode("ascii").ljust(16),
    )
    body += item(APPLICATION_CONTEXT_ITEM, APPLICATION_CONTEXT.encode("ascii"))
    for place, (abstract_syntax, transfer_syntaxes) in enumerate(proposals):
        body += _context_rq(context_id_of(place), abstract_syntax, transfer_syntaxes)
    body += item(USER_INFORMATION_ITEM, user_information)
    return struct.pack(">BBL", A_ASSOCIATE_RQ, 0, len(body)) + body


def context_id_of(place: int) -> int:
    """Return the context ID of the proposal at a place of the request (PS3.8 7.1.1.13)."""
    return 2 * place + 1


def decode_ac(body: bytes) -> AssociateAccept:
    """Read the variable field of an A-ASSOCIATE-AC: what is needed of it, in any order.

    Unknown items are ignored (PS3.8 9.3.1), and so is what cannot be read of the user information, which
    decides about nothing; of repeated items, the first one counts.

    Raises:
        ProtocolError: it is cut off, or its presentation contexts cannot be read.
    """
    if len(body) < FIXED_BYTES:
        raise ProtocolError("an A-ASSOCIATE-AC is cut off")
    contexts: dict[int, str] = {}
    refusals: dict[int, int] = {}
    user_information: bytes | None = None
    try:
        for kind, value in items_of(body[FIXED_BYTES:]):
            if kind == CONTEXT_AC_ITEM:
                context_id, result, transfer_syntax = _context_ac(value)
                if result != _ACCEPTANCE:
                    refusals.setdefault(context_id, result)
                else:
                    contexts.setdefault(context_id, transfer_syntax)
            elif kind == USER_INFORMATION_ITEM and user_information is None:
                user_information = value
    except ProtocolError:
        # Bytes that follow all that has to be there are no reason to do without the peer.
        if user_information is None or not (contexts or refusals):
            raise
    maximum_length = _maximum_length(user_information or b"")
    roles = roles_of(_whole_items(user_information or b""))
    return AssociateAccept(
        MappingProxyType(contexts), MappingProxyType(refusals), maximum_length, MappingProxyType(roles)
    )


def decode_rj(body: bytes) -> AssociateReject:
    """Read the variable field of an A-ASSOCIATE-RJ.

    Raises:
        ProtocolError: it is too short.
    """
    if len(body) < 4:  # noqa: PLR2004 - PS3.8 table 9-21
        raise ProtocolError("an A-ASSOCIATE-RJ is cut off")
    return AssociateReject(result=body[1], source=body[2], reason=body[3])


def _context_rq(context_id: int, abstract_syntax: str, transfer_syntaxes: Sequence[str]) -> bytes:
    sub_items = item(ABSTRACT_SYNTAX_ITEM, abstract_syntax.encode("ascii"))
    for transfer_syntax in transfer_syntaxes:
        sub_items += item(TRANSFER_SYNTAX_ITEM, transfer_syntax.encode("ascii"))
    return item(CONTEXT_RQ_ITEM, struct.pack(">BBBB", context_id, 0, 0, 0) + sub_items)


def _relational_item(abstract_syntax: str) -> bytes:
    """Return a SOP Class Extended Negotiation sub-item (PS3.7 D.3.3.5)."""
    uid = abstract_syntax.encode("ascii")
    return item(EXTENDED_NEGOTIATION_ITEM, struct.pack(">H", len(uid)) + uid + _RELATIONAL)


def _whole_items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the items that are there as a whole; what is left over at the end is ignored."""
    items = items_of(data)
    while True:
        try:
            yield next(items)
        except (StopIteration, ProtocolError):
            return


def _maximum_length(user_information: bytes) -> int:
    for kind, value in _whole_items(user_information):
        if kind == MAXIMUM_LENGTH_ITEM and len(value) == 4:  # noqa: PLR2004 - PS3.8 D.1.1
            return int.from_bytes(value, "big")
    return 0


def _context_ac(value: bytes) -> tuple[int, int, str]:
    """Return ID, result and transfer syntax; who names none has accepted the default (PS3.5 10.1)."""
    if len(value) < 4:  # noqa: PLR2004 - PS3.8 table 9-18
        raise ProtocolError("a presentation context of an A-ASSOCIATE-AC is cut off")
    context_id, _, result, _ = value[:4]
    for kind, name in _whole_items(value[4:]):
        transfer_syntax = name.decode("ascii", "replace").strip("\0 ")
        if kind == TRANSFER_SYNTAX_ITEM and transfer_syntax:
            return context_id, result, transfer_syntax
    return context_id, result, IMPLICIT_VR_LITTLE_ENDIAN
