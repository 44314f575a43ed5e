"""UIDs of the services that we use (PS3.4 annexes A, C and J)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from shared.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    RLE_LOSSLESS,
)

_STANDARD = "1.2.840.10008."
#: Composite storage classes of the standard, current and retired, begin so (PS3.6 annex A) ...
_COMPOSITE = "1.2.840.10008.5.1.4.1.1."
#: ... but these there are no objects of a study (PS3.4 annex GG).
_NON_PATIENT = ("1.2.840.10008.5.1.4.1.1.200.", "1.2.840.10008.5.1.4.1.1.201.")
_ELSEWHERE = frozenset(
    {
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image Storage, retired
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image Storage, retired
        "1.2.840.10008.5.1.4.34.1",  # RT Beams Delivery Instruction Storage - Trial, retired
        "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction Storage
        "1.2.840.10008.5.1.4.34.10",  # RT Brachy Application Setup Delivery Instruction Storage
    }
)


def is_storage(abstract_syntax: str) -> bool:
    """Return whether this SOP class can be stored: composite storage classes, private and unknown ones."""
    if abstract_syntax.startswith(_COMPOSITE):
        return not abstract_syntax.startswith(_NON_PATIENT)
    if abstract_syntax in _ELSEWHERE:
        return True
    return not abstract_syntax.startswith(_STANDARD) or not _is_of_the_standard(abstract_syntax)


def _is_of_the_standard(uid: str) -> bool:
    # Loaded when it is needed: hardly any sender proposes such a UID.
    from pydicom._uid_dict import UID_dictionary  # noqa: PLC0415

    return uid in UID_dictionary


#: Presentation contexts of one association (PS3.8 9.3.2.2: odd numbers below 256), but that of C-GET.
CONTEXTS_MOST = 127

_PLAIN = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
#: By how common they are in archives that keep images compressed.
_COMPRESSED = (
    JPEG_LOSSLESS_SV1,
    JPEG_2000_LOSSLESS,
    JPEG_LS_LOSSLESS,
    JPEG_BASELINE,
    RLE_LOSSLESS,
    JPEG_2000,
    JPEG_EXTENDED,
)

_STORAGE = "1.2.840.10008.5.1.4.1.1."

#: Storage classes of reports, which are never compressed (PS3.6 table A-1, below the root of storage).
_REPORTS = (
    "88.11", "88.22", "88.33", "88.34", "88.35", "88.40", "88.50", "88.59", "88.65", "88.67", "88.68",
    "88.69", "88.70", "88.71", "88.72", "88.73", "88.74", "88.75", "88.76", "11.1", "104.1",
)  # fmt: skip
#: Storage classes of images by the modality of their series (PS3.3 C.7.3.1.1.1).
_IMAGES = {
    "CT": ("2", "2.1", "2.2"),
    "MG": ("1.2", "1.2.1", "13.1.3", "13.1.4", "13.1.5"),
    "CR": ("1", "1.1", "1.1.1"),
    "DX": ("1", "1.1", "1.1.1"),
    "PX": ("1", "1.1", "1.1.1", "1.3", "1.3.1", "13.1.2"),
    "XA": ("12.1", "12.1.1", "13.1.1"),
    "RF": ("12.2", "12.2.1", "12.1"),
    "PT": ("128", "128.1", "130"),
    "NM": ("20",),
}
#: Secondary captures, which any modality makes, and other objects that may hold dose figures.
_CAPTURES = ("7", "7.1", "7.2", "7.3", "7.4")
_OTHER = ("3.1", "4", "4.1", "6.1")

REPORT_CLASSES = tuple(_STORAGE + suffix for suffix in _REPORTS)
CAPTURE_CLASSES = tuple(_STORAGE + suffix for suffix in _CAPTURES)
IMAGE_CLASSES = tuple(
    dict.fromkeys(
        _STORAGE + suffix
        for suffix in (*(image for images in _IMAGES.values() for image in images), *_CAPTURES, *_OTHER)
    )
)
#: Classes whose objects are never kept as headers: their content or their pixels are what they say.
WHOLE_CLASSES = frozenset(
    {*CAPTURE_CLASSES, *REPORT_CLASSES, *(f"{_STORAGE}104.{number}" for number in range(1, 6))}
)
EVERY_CLASS = (*REPORT_CLASSES, *IMAGE_CLASSES)

#: A storage class and the transfer syntaxes of which the peer takes one.
Offer = tuple[str, tuple[str, ...]]


def classes_for(modalities: Iterable[str | None], named: Iterable[str] = ()) -> tuple[str, ...]:
    """Return storage classes for series of these modalities whose classes nobody named, and for the named."""
    classes = dict.fromkeys(named)
    for modality in modalities:
        if modality == "SR":
            classes |= dict.fromkeys(REPORT_CLASSES)
        elif modality in _IMAGES:
            own = (_STORAGE + suffix for suffix in _IMAGES[modality])
            classes |= dict.fromkeys((*own, *CAPTURE_CLASSES))
        else:
            classes |= dict.fromkeys(EVERY_CLASS)
    return tuple(sorted(classes))


def offers(classes: Sequence[str]) -> list[Offer]:
    """Return what to offer where these classes are wanted: a storage class and transfer syntaxes of it.

    The peer takes one transfer syntax of an offer, and converts what it keeps in another. So each is offered
    by itself where the contexts are enough for that, and those that are rarely needed together where they are
    not. Other classes are offered, too, as far as there is room: a series may hold what nobody expects.
    """
    wanted = list(classes)[:CONTEXTS_MOST]
    rest = [storage_class for storage_class in EVERY_CLASS if storage_class not in wanted] if wanted else []
    rest = rest[: CONTEXTS_MOST - len(wanted)]
    reports = [storage_class for storage_class in wanted if storage_class in REPORT_CLASSES]
    others = [storage_class for storage_class in wanted if storage_class not in REPORT_CLASSES]
    left = CONTEXTS_MOST - len(rest)
    plain = _groups(_PLAIN, (left - len(others)) // len(reports)) if reports else []
    left -= len(plain) * len(reports)
    every = _groups((*_PLAIN, *_COMPRESSED), left // len(others)) if others else []
    return [
        *((report, group) for group in plain for report in reports),
        *((other, group) for group in every for other in others),
        *((storage_class, _PLAIN) for storage_class in rest),
    ]


def _groups(transfer_syntaxes: Sequence[str], most: int) -> list[tuple[str, ...]]:
    if most == len(_PLAIN) < len(transfer_syntaxes):
        return [_PLAIN, _COMPRESSED]
    alone = transfer_syntaxes if most >= len(transfer_syntaxes) else transfer_syntaxes[: most - 1]
    groups: list[tuple[str, ...]] = [(transfer_syntax,) for transfer_syntax in alone]
    together = tuple(transfer_syntaxes[len(alone) :])
    return [*groups, together] if together else groups


VERIFICATION = "1.2.840.10008.1.1"
STUDY_ROOT_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
#: Composite Instance Retrieve Without Bulk Data - GET (PS3.4 Z.6).
WITHOUT_BULK_DATA_GET = "1.2.840.10008.5.1.4.1.2.5.3"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
#: The Storage Commitment Push Model, and its one well-known instance (PS3.4 J.3.5).
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"

_SERVICE_NAMES = {
    VERIFICATION: "C-ECHO (Verification",
    STUDY_ROOT_FIND: "C-FIND (Study Root Query/Retrieve",
    STUDY_ROOT_MOVE: "C-MOVE (Study Root Query/Retrieve",
    STUDY_ROOT_GET: "C-GET (Study Root Query/Retrieve",
    WITHOUT_BULK_DATA_GET: "C-GET (Composite Instance Retrieve Without Bulk Data",
    STORAGE_COMMITMENT: "storage commitment (Push Model",
}


def service_name(abstract_syntax: str) -> str:
    """Return the name and UID of a service that we request, for people."""
    name = _SERVICE_NAMES.get(abstract_syntax)
    return f"{name}, {abstract_syntax})" if name else abstract_syntax
