"""Which SOP classes can be stored; pure."""

from __future__ import annotations

from pydicom._uid_dict import UID_dictionary

_STANDARD = "1.2.840.10008."
#: Composite storage classes of the standard, current and retired, begin so (PS3.6 annex A) ...
_COMPOSITE = "1.2.840.10008.5.1.4.1.1."
#: ... but these there are no objects of a study (PS3.4 annex GG).
_NON_PATIENT = ("1.2.840.10008.5.1.4.1.1.200.", "1.2.840.10008.5.1.4.1.1.201.")
_ELSEWHERE = frozenset(
    {
        "1.2.840.10008.5.1.1.29",  # Hardcopy Grayscale Image Storage, retired
        "1.2.840.10008.5.1.1.30",  # Hardcopy Color Image Storage, retired
        "1.2.840.10008.5.1.4.34.7",  # RT Beams Delivery Instruction Storage
        "1.2.840.10008.5.1.4.34.10",  # RT Brachy Application Setup Delivery Instruction Storage
    }
)


def is_storage(abstract_syntax: str) -> bool:
    """Tell whether this SOP class can be stored: composite storage classes, private and unknown ones."""
    if abstract_syntax.startswith(_COMPOSITE):
        return not abstract_syntax.startswith(_NON_PATIENT)
    if abstract_syntax in _ELSEWHERE:
        return True
    return not abstract_syntax.startswith(_STANDARD) or abstract_syntax not in UID_dictionary
