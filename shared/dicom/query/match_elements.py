"""One match of a C-FIND as the bytes that came, read element by element when it is asked for one."""

from __future__ import annotations

from functools import lru_cache

from pydicom.charset import decode_bytes, python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.valuerep import TEXT_VR_DELIMS

from shared.dicom.upper_layer.data_elements import elements_of
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import DoseQRError

_SPECIFIC_CHARACTER_SET = 0x00080005
_DEFAULT_ENCODING = "iso8859"
_ESCAPE = b"\x1b"

#: Beyond this a text is no text; longer ones are cut.
_LONGEST_VALUE_BYTES = 1 << 20


class MalformedMatchError(DoseQRError):
    """A pending C-FIND response that says nothing usable: its data set or its UID cannot be read."""


class Match:
    """The elements of one match."""

    __slots__ = ("_elements",)

    def __init__(self, elements: dict[int, bytes]) -> None:
        self._elements = elements

    def text(self, keyword: str) -> str | None:
        """Return a value as text, several joined by backslashes; None where there is none."""
        value = self._elements.get(_tag(keyword))
        return (_clean(self._decoded(value[:_LONGEST_VALUE_BYTES])) or None) if value else None

    def texts(self, keyword: str) -> tuple[str, ...] | None:
        """Return the values of an element, each once; None where there is none."""
        text = self.text(keyword)
        if text is None:
            return None
        return tuple(dict.fromkeys(filter(None, (one.strip() for one in text.split("\\"))))) or None

    def _decoded(self, value: bytes) -> str:
        if value.isascii() and _ESCAPE not in value:
            return value.decode("ascii")
        encodings = _encodings(self._elements.get(_SPECIFIC_CHARACTER_SET, b""))
        if _ESCAPE in value:
            try:
                return decode_bytes(value, list(encodings), TEXT_VR_DELIMS)
            except (UnicodeError, LookupError, UserWarning):
                pass
        return value.decode(encodings[0], "replace")


def match_of(encoded: bytes | None) -> Match:
    """Return the match that an answer holds.

    Raises:
        MalformedMatchError: there is none, or its lengths do not fit.
    """
    if encoded is None:
        raise MalformedMatchError("a pending answer without a match")
    try:
        return Match(elements_of(encoded))
    except MalformedDataSetError as error:
        raise MalformedMatchError(str(error)) from error


@lru_cache(maxsize=64)
def _encodings(value: bytes) -> tuple[str, ...]:
    """Return Python's names of the character sets that (0008,0005) tells (PS3.3 C.12.1.1.2)."""
    names = value.decode("ascii", "replace").replace("\0", "").split("\\")
    known = [python_encoding.get(name.strip(), _DEFAULT_ENCODING) for name in names]
    return tuple(known) or (_DEFAULT_ENCODING,)


@lru_cache(maxsize=256)
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _clean(text: str) -> str:
    """Return a text without what pads it and what databases refuse."""
    return text.replace("\x00", "").strip().encode("utf-8", "replace").decode()
