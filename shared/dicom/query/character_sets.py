"""Text of data sets as people read it, though its character set is declared wrongly or misspelt. Pure.

Archives declare ISO_IR 100 for descriptions that a modality wrote in UTF-8, do it the other way round, or
spell the defined term of PS3.3 C.12.1.1.2 in a way of their own. No filter finds a text that is misread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

from pydicom.charset import python_encoding

_LATIN_1 = "iso8859"
_UTF_8 = "UTF8"
_WINDOWS_LATIN_1 = "cp1252"
_BYTE_ORDER_MARK = "\ufeff"
#: Stands for bytes that are no character.
_REPLACED = "\ufffd"

#: Western character sets, in which what is valid UTF-8 makes no words.
_WESTERN = frozenset(
    {"latin_1", "iso8859", "iso_ir_148", *(f"iso8859_{part}" for part in (1, 2, 3, 4, 9, 15))}
)
_LATIN_1_NAMES = frozenset({"latin_1", "iso8859", "iso8859_1"})
#: Bytes that nearly every text in UTF-8 holds, and none in ISO 8859 or GB 2312: there, they are controls.
_C1_CONTROLS = frozenset(range(0x80, 0xA0))

_ISO_IR = re.compile(r"ISO\W*_?(2022)?\W*_?IR\W*_?(\d{1,3})")
_ISO_8859 = re.compile(r"(?:ISO\W*_?)?8859\W*_?(\d{1,2})")
#: Names of other standards, without what is neither letter nor digit.
_OTHER_NAMES = (
    (re.compile(r"(?:WINDOWS|CP|MS)?(125\d)"), r"cp\1"),
    (re.compile(r"GB.*"), "gb18030"),
    (re.compile(r"SHIFTJIS|SJIS|MSKANJI|WINDOWS31J|CP932"), "cp932"),
    (re.compile(r"EUCJP"), "euc_jp"),
    (re.compile(r"EUCKR|KSX1001|KSC5601.*|UHC|CP949"), "cp949"),
    (re.compile(r"BIG5"), "big5"),
    (re.compile(r"TIS620"), "tis_620"),
    (re.compile(r"KOI8R?"), "koi8_r"),
)
_ISO_IR_203 = "203"

#: Encodings of texts that lack the escape sequence to the double-byte set that is declared.
_WITHOUT_ESCAPE = {
    "iso2022_jp": ("cp932", "euc_jp"),
    "iso2022_jp_2": ("cp932", "euc_jp"),
    "euc_kr": ("cp949",),
    "iso_ir_58": ("gb18030",),
    "GB2312": ("gb18030",),
}

#: Code extensions (ISO/IEC 2022; PS3.3 C.12.1.1.2, PS3.5 6.1.2.5). An escape sequence means the same whether
#: or not its set is declared, and archives leave that out.
_ESCAPE = b"\x1b"

_SEQUENCE = re.compile(rb"\x1b(?:[-()][\x30-\x7e]?|\$[()]?[\x30-\x7e]?|%/?[\x30-\x7e]?)?")

#: Sets for bytes from 0x80 on (PS3.3 tables C.12-3 and C.12-4); those below are ASCII.
_UPPER = {
    b"-A": "latin_1",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "tis_620",
    b"-b": "iso8859_15",
    b")I": "shift_jis",
    b"$)A": "gb2312",
    b"$)C": "euc_kr",
    b"%G": "utf_8",
    b"%/I": "utf_8",
}
#: Double-byte sets for bytes below 0x80: JIS X 0208 and 0212, and forms of GB 2312 and KS X 1001 that are not
#: DICOM's.
_DOUBLE_BYTE = frozenset({b"$B", b"$@", b"$(D", b"$(C", b"$A"})
_DOUBLE_BYTE_CODEC = "iso2022_jp_2"
_TO_ASCII = b"\x1b(B"
#: Pads values, and is no byte of a double-byte character.
_PADDING = b" \0"
#: The end of UTF-8.
_ENDS_UPPER = frozenset({b"%@"})
#: What ends the effect of a sequence for bytes from 0x80 on (PS3.5 6.1.2.5.3).
_DELIMITER = re.compile(rb"[\\\r\n\t\f]")
#: Here, a byte of a character may be a backslash.
_SHIFT_JIS = "shift_jis"


def decoded(value: bytes, specific_character_set: bytes) -> str:
    """Return a text, from its bytes and those of Specific Character Set (0008,0005).

    What is no character stands as U+FFFD.
    """
    if value.isascii() and _ESCAPE not in value:
        return value.decode("ascii")
    return decoded_as(value, encodings_of(specific_character_set))


def decoded_as(value: bytes, encodings: tuple[str, ...]) -> str:
    """Return a text, from its bytes and the encodings that are declared, by Python's names."""
    if _ESCAPE in value:
        text = _decoded_with_escapes(value, lambda part: _decoded(part, encodings))
    else:
        text = _decoded(value, encodings)
    return text.removeprefix(_BYTE_ORDER_MARK)


def _decoded(value: bytes, encodings: tuple[str, ...]) -> str:
    for text in _readings(value, encodings):
        if text is not None:
            return text
    return value.decode(_LATIN_1)


def _readings(value: bytes, encodings: tuple[str, ...]) -> Iterator[str | None]:
    """Yield what the value means in one encoding after the other, the likeliest first; None: nothing."""
    first = encodings[0]
    beside = [name for encoding in encodings for name in _WITHOUT_ESCAPE.get(encoding, ())]
    if first not in _WESTERN and _C1_CONTROLS.isdisjoint(value):
        yield _strict(value, first)
    yield _strict(value, _UTF_8)
    yield _damaged(value, _UTF_8)
    if first in _WESTERN and first != _LATIN_1:
        yield _western(value, first)
    for encoding in dict.fromkeys([*([] if first in _WESTERN else [first]), *beside]):
        yield _strict(value, encoding)
        yield _damaged(value, encoding) if encoding not in _WESTERN else None
    yield _western(value, first)


def _western(value: bytes, encoding: str) -> str | None:
    if encoding in _LATIN_1_NAMES and not _C1_CONTROLS.isdisjoint(value):
        return _strict(value, _WINDOWS_LATIN_1) or _strict(value, encoding)
    return _strict(value, encoding)


def _strict(value: bytes, encoding: str) -> str | None:
    try:
        return value.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _damaged(value: bytes, encoding: str) -> str | None:
    """Return a text of which a few bytes are missing or wrong, as where it was cut within a character."""
    try:
        text = value.decode(encoding, "replace")
    except (UnicodeError, LookupError):
        return None
    wrong = text.count(_REPLACED)
    right = sum(not character.isascii() for character in text) - wrong
    return text if wrong <= right else None


def _decoded_with_escapes(value: bytes, without: Callable[[bytes], str]) -> str:
    """Return a text; `without` decodes what no escape sequence speaks about."""
    texts, end = list[str](), 0
    double_byte, upper = b"", ""
    for sequence in _SEQUENCE.finditer(value):
        texts.append(_decoded_part(value[end : sequence.start()], double_byte, upper, without))
        name = sequence.group()[1:]
        double_byte = sequence.group() if name in _DOUBLE_BYTE else b""
        upper = _UPPER.get(name, "" if name in _ENDS_UPPER else upper)
        end = sequence.end()
    texts.append(_decoded_part(value[end:], double_byte, upper, without))
    return "".join(texts)


def _decoded_part(part: bytes, double_byte: bytes, upper: str, without: Callable[[bytes], str]) -> str:
    if not part:
        return ""
    if double_byte:
        return (double_byte + part.rstrip(_PADDING) + _TO_ASCII).decode(_DOUBLE_BYTE_CODEC, "replace")
    if not upper:
        return without(part)
    delimiter = None if upper == _SHIFT_JIS else _DELIMITER.search(part)
    if delimiter is None:
        return part.decode(upper, "replace")
    return part[: delimiter.start()].decode(upper, "replace") + without(part[delimiter.start() :])


@lru_cache(maxsize=64)
def encodings_of(specific_character_set: bytes) -> tuple[str, ...]:
    """Return Python's names of the character sets that are declared (PS3.3 C.12.1.1.2)."""
    names = specific_character_set.decode("ascii", "replace").replace("\0", "").split("\\")
    return tuple(_encoding_of(name.strip()) for name in names)


def _encoding_of(name: str) -> str:
    spelt = name.upper()
    return python_encoding.get(name) or _of_iso(spelt) or _of_others(spelt) or _LATIN_1


def _of_iso(spelt: str) -> str | None:
    """Return the encoding of a term of the standard, or a part of ISO 8859, that is misspelt."""
    iso_ir = _ISO_IR.search(spelt)
    if iso_ir is not None:
        extension, number = iso_ir.groups()
        if number == _ISO_IR_203:
            return "iso8859_15"
        terms = (f"ISO 2022 IR {number}", f"ISO_IR {number}")
        for term in terms if extension else reversed(terms):
            if term in python_encoding:
                return python_encoding[term]
    iso_8859 = _ISO_8859.search(spelt)
    if iso_8859 is not None and 1 <= int(iso_8859.group(1)) <= 16:  # noqa: PLR2004 - there are no more parts
        return f"iso8859_{int(iso_8859.group(1))}"
    return None


def _of_others(spelt: str) -> str | None:
    """Return the encoding of a name that is not DICOM's."""
    if "UTF" in spelt and "8" in spelt:
        return _UTF_8
    letters = re.sub(r"[^A-Z0-9]", "", spelt)
    for pattern, encoding in _OTHER_NAMES:
        found = pattern.fullmatch(letters)
        if found is not None:
            return found.expand(encoding)
    return None
