"""C-GET of objects without their bulk data (PS3.4 annex Z): headers come, and go on to a store as such."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

from shared.dicom.cancellation import Cancellation
from shared.dicom.header_objects.bulk_sieve import PIXEL_DATA, BulkSieve
from shared.dicom.header_objects.mark import Origin, Way
from shared.dicom.peer import Peer, Timeouts
from shared.dicom.relay.c_get import GetAssociation, open_checked
from shared.dicom.relay.fetched_object import FetchedObject
from shared.dicom.sop_classes import CONTEXTS_MOST, WHOLE_CLASSES, WITHOUT_BULK_DATA_GET
from shared.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from shared.dicom.upper_layer.errors import MalformedDataSetError

#: Headers are not compressed.
_SYNTAXES = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_READ_BYTES = 1 << 16


class HeaderGetAssociation(GetAssociation):
    """An association over which the peer sends objects without their bulk data."""

    operation = "C-GET without bulk data"
    service = WITHOUT_BULK_DATA_GET

    def _kinds(self) -> set[tuple[str, str]]:
        return {(sop_class_uid, EXPLICIT_VR_LITTLE_ENDIAN) for sop_class_uid, _ in self.contexts.values()}

    def _to_relay(
        self, received: FetchedObject | None, transfer_syntax_uid: str
    ) -> tuple[FetchedObject | None, str]:
        header = None if received is None else _header_of(received, transfer_syntax_uid)
        if received is None or header is None:
            return received, transfer_syntax_uid
        received.close()
        return header, EXPLICIT_VR_LITTLE_ENDIAN


def _header_of(received: FetchedObject, transfer_syntax_uid: str) -> FetchedObject | None:
    """Return an object as a header that says so; None where it cannot be read."""
    if received.file is None:
        return None
    sieve = BulkSieve(transfer_syntax_uid, lambda _begin: True)
    received.file.seek(0)
    while not sieve.useless and (data := received.file.read(_READ_BYTES)):
        sieve.add(data)
    # Some send pixels all the same.
    came = Origin(Way.LEFT_OUT, sieve.absent, transfer_syntax_uid, received.size_bytes)
    origin = came if sieve.absent else Origin(Way.WITHOUT_BULK_DATA, [PIXEL_DATA])
    try:
        data_set = sieve.data_set(origin)
    except MalformedDataSetError:
        return None
    return fetched_header(data_set)


def fetched_header(data_set: bytes) -> FetchedObject:
    """Return a header as an object that can be handed on."""
    header = FetchedObject(BytesIO, lambda _size_bytes: None, len(data_set))
    header.add(data_set)
    return header


def open_header_association(
    peer: Peer,
    storage_classes: Sequence[str],
    timeouts: Timeouts,
    *,
    cancellation: Cancellation | None = None,
) -> HeaderGetAssociation:
    """Open an association for headers of objects of these classes; of those that are always whole none come.

    Raises:
        PeerError: it does not stand, with the outcome, or headers could not come over it.
        InterruptedWorkError: the work was stopped.
    """
    wanted = [uid for uid in storage_classes if uid not in WHOLE_CLASSES][:CONTEXTS_MOST]
    offered = [(uid, _SYNTAXES) for uid in wanted]
    return open_checked(HeaderGetAssociation, peer, offered, timeouts, cancellation=cancellation)
