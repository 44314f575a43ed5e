"""Which kept objects carry the dose in their header, so that their bulk data is not needed. Pure.

Reports are the dose themselves, and captures and dose screens (Philips, GE, Toshiba) show it in their pixels:
they are always whole, whatever the reason for which they are kept.
"""

from __future__ import annotations

from shared.contract.reasons import Reason
from shared.dicom.sop_classes import CAPTURE_CLASSES, REPORT_CLASSES

#: Reasons of the rules (`services/query/rules`) that say: the header holds the dose.
HEADER_REASONS = frozenset(
    {
        Reason.IMAGES_NO_REPORT,
        Reason.IMAGES_BESIDE_REPORT,
        Reason.FIRST_IMAGE_PET,
        Reason.FIRST_IMAGE_NM,
        Reason.TOSHIBA_FIRST_IMAGE,
    }
)
_STORAGE = "1.2.840.10008.5.1.4.1.1."
#: Encapsulated documents: what they say is their bulk data.
_DOCUMENT_CLASSES = tuple(f"{_STORAGE}104.{number}" for number in range(1, 6))
#: Classes of which every object is kept whole.
WHOLE_CLASSES = frozenset({*CAPTURE_CLASSES, *REPORT_CLASSES, *_DOCUMENT_CLASSES})


def header_is_enough(reason: str, sop_class_uid: str) -> bool:
    """Return whether the header of an object that is kept for this reason carries the dose.

    Where the PACS does not return the class, it is decided once more by the object itself.
    """
    return reason in HEADER_REASONS and sop_class_uid not in WHOLE_CLASSES
