"""Which kept objects carry the dose in their header, so that their bulk data is not needed. Pure.

Reports are the dose themselves, and captures and dose screens (Philips, GE, Toshiba) show it in their pixels:
they are always whole, whatever the reason for which they are kept.
"""

from __future__ import annotations

from shared.contract.reasons import Reason
from shared.dicom.sop_classes import WHOLE_CLASSES

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


def header_is_enough(reason: str, sop_class_uid: str) -> bool:
    """Return whether the header of an object that is kept for this reason carries the dose.

    Where the PACS does not return the class, it is decided once more by the object itself.
    """
    return reason in HEADER_REASONS and sop_class_uid not in WHOLE_CLASSES
