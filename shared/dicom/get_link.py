"""The association of a C-GET: we ask, and are the SCP of the objects that come back over it (PS3.4 C.4.3)."""

from __future__ import annotations

from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom.presentation import PresentationContext, build_context

from shared.dicom.association import StackLink, open_contexts
from shared.dicom.calling import Peer, Timeouts
from shared.dicom.cancellation import Cancellation
from shared.dicom.sop_classes import STUDY_ROOT_GET

_STORAGE = "1.2.840.10008.5.1.4.1.1."

#: Storage classes of reports: never compressed (PS3.6 annex A, below 1.2.840.10008.5.1.4.1.1).
_REPORTS = (
    "88.11", "88.22", "88.33", "88.34", "88.35", "88.40", "88.50", "88.59", "88.65", "88.67", "88.68",
    "88.69", "88.70", "88.71", "88.72", "88.73", "88.74", "88.76", "11.1", "104.1",
)  # fmt: skip
#: Storage classes of images that tell a dose, and of secondary captures of it.
_IMAGES = (
    "1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "2", "2.1", "2.2", "3.1", "4", "4.1", "6.1", "7",
    "7.1", "7.2", "7.3", "7.4", "12.1", "12.1.1", "12.2", "12.2.1", "13.1.1", "13.1.2", "13.1.3", "13.1.4",
    "13.1.5", "20", "128", "128.1", "130",
)  # fmt: skip

_PLAIN: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
#: The peer picks one of these for a class; an archive that keeps images compressed often sends them so.
_COMPRESSED: list[str | UID] = [
    JPEGLosslessSV1,
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEG2000,
    RLELossless,
]

REPORT_CLASSES = tuple(_STORAGE + suffix for suffix in _REPORTS)
IMAGE_CLASSES = tuple(_STORAGE + suffix for suffix in _IMAGES)


def open_get_link(peer: Peer, timeouts: Timeouts, *, cancellation: Cancellation | None = None) -> StackLink:
    """Open an association for C-GET of objects that tell a dose.

    Raises:
        PeerError: it does not stand, with the outcome.
        InterruptedWorkError: stopping was asked for.
    """
    contexts = [build_context(STUDY_ROOT_GET)]
    contexts += [build_context(uid, _PLAIN) for uid in (*REPORT_CLASSES, *IMAGE_CLASSES)]
    contexts += [build_context(uid, _COMPRESSED) for uid in IMAGE_CLASSES]
    taken = (*REPORT_CLASSES, *IMAGE_CLASSES)
    return open_contexts(peer, contexts, timeouts, taken_abstract_syntaxes=taken, cancellation=cancellation)


def contexts_to_send_on(link: StackLink) -> list[PresentationContext]:
    """Return contexts in which everything can be sent on that may come over this association."""
    kinds = {
        (str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in link.assoc.accepted_contexts
        if context.as_scp
    }
    return [build_context(abstract, transfer) for abstract, transfer in sorted(kinds)]
