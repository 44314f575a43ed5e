"""SCP/SCU role selection of an A-ASSOCIATE (PS3.7 D.3.3.4). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from shared.dicom.upper_layer.pdu import ROLE_SELECTION_ITEM, item


@dataclass(frozen=True, slots=True)
class Roles:
    """Which roles the requestor of an association has for a SOP class."""

    scu: bool
    scp: bool


def role_item(sop_class_uid: str, roles: Roles) -> bytes:
    """Return a role selection sub-item."""
    uid = sop_class_uid.encode("ascii")
    return item(ROLE_SELECTION_ITEM, struct.pack(">H", len(uid)) + uid + bytes((roles.scu, roles.scp)))


def roles_of(sub_items: Iterable[tuple[int, bytes]]) -> dict[str, Roles]:
    """Return the roles by SOP class; an item that does not fit is passed over, as if it were not there."""
    roles = {}
    for kind, value in sub_items:
        length = int.from_bytes(value[:2], "big")
        if kind == ROLE_SELECTION_ITEM and len(value) == length + 4:
            scu, scp = value[-2:]
            uid = value[2:-2].decode("latin-1").strip("\0 ")
            roles[uid] = Roles(scu=bool(scu), scp=bool(scp))
    return roles
