"""Text of data sets as people read it, though its character set is declared wrongly or misspelt. Pure.

Archives declare ISO_IR 100 for descriptions that a modality wrote in UTF-8, do it the other way round, or
spell the defined term of PS3.3 C.12.1.1.2 in a way of their own. No filter finds a text that is misread.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydicom.charset import decode_bytes, python_encoding
from pydicom.valuerep import TEXT_VR_DELIMS

_LATIN_1 = "iso8859"
_UTF_8 = "UTF8"
_ESCAPE = b"\x1b"

#: Western character sets, in which what is valid UTF-8 makes no words.
_WESTERN = frozenset(
    {"latin_1", "iso8859", "iso_ir_148", *(f"iso8859_{part}" for part in (1, 2, 3, 4, 9, 15))}
)
#: Bytes that nearly every text in UTF-8 holds, and none in ISO 8859 or GB 2312: there, they are controls.
_C1_CONTROLS = frozenset(range(0x80, 0xA0))

_ISO_IR = re.compile(r"ISO\W*_?(2022)?\W*_?IR\W*_?(\d{1,3})")
_ISO_8859 = re.compile(r"(?:ISO\W*_?)?8859\W*_?(\d{1,2})")


def decoded(value: bytes, specific_character_set: bytes) -> str:
    """Return a text, from its bytes and those of Specific Character Set (0008,0005)."""
    if value.isascii() and _ESCAPE not in value:
        return value.decode("ascii")
    encodings = encodings_of(specific_character_set)
    if _ESCAPE in value:
        try:
            return decode_bytes(value, list(encodings), TEXT_VR_DELIMS)
        except (UnicodeError, LookupError, UserWarning):
            pass
    for encoding in _attempts(value, encodings[0]):
        try:
            return value.decode(encoding)
        except (UnicodeError, LookupError):
            continue
    return value.decode(_LATIN_1)


def _attempts(value: bytes, declared: str) -> tuple[str, ...]:
    """Return the encodings to try, the likeliest first."""
    if declared in _WESTERN or not _C1_CONTROLS.isdisjoint(value):
        return _UTF_8, declared
    return declared, _UTF_8


@lru_cache(maxsize=64)
def encodings_of(specific_character_set: bytes) -> tuple[str, ...]:
    """Return Python's names of the character sets that are declared (PS3.3 C.12.1.1.2)."""
    names = specific_character_set.decode("ascii", "replace").replace("\0", "").split("\\")
    return tuple(_encoding_of(name.strip()) for name in names)


def _encoding_of(name: str) -> str:
    if name in python_encoding:
        return python_encoding[name]
    spelt = name.upper()
    iso_ir = _ISO_IR.search(spelt)
    if iso_ir is not None:
        extension, number = iso_ir.groups()
        terms = (f"ISO 2022 IR {number}", f"ISO_IR {number}")
        for term in terms if extension else reversed(terms):
            if term in python_encoding:
                return python_encoding[term]
    if "UTF" in spelt and "8" in spelt:
        return _UTF_8
    iso_8859 = _ISO_8859.search(spelt)
    if iso_8859 is not None and 1 <= int(iso_8859.group(1)) <= 16:  # noqa: PLR2004 - there are no more parts
        return f"iso8859_{int(iso_8859.group(1))}"
    return spelt.lower() if spelt in ("GB18030", "GBK") else _LATIN_1
