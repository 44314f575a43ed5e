"""One match of a C-FIND as the bytes that came, decoded element by element where one is read."""

from __future__ import annotations

from functools import lru_cache

from pydicom.datadict import dictionary_description, tag_for_keyword

from shared.dicom.query.character_sets import decoded
from shared.dicom.upper_layer.data_elements import elements_of
from shared.dicom.upper_layer.errors import MalformedDataSetError
from shared.errors import DoseQRError

_SPECIFIC_CHARACTER_SET = 0x00080005

#: Characters of a text that is read; LO and SH have 64 and 16 (PS3.5 6.2), and real archives send more.
TEXT_MAX_LENGTH = 4096
#: The end of a text that was longer than is kept.
CUT_MARK = "… [cut]"
#: Bytes of a value that are decoded: no character has more than four.
_VALUE_MAX_BYTES = 4 * (TEXT_MAX_LENGTH + 1)


class MalformedMatchError(DoseQRError):
    """A pending C-FIND response without a usable match: its data set or its UID cannot be read."""


class Match:
    """The elements of one match."""

    __slots__ = ("_elements",)

    def __init__(self, elements: dict[int, bytes]) -> None:
        self._elements = elements

    def text(self, keyword: str, max_length: int = TEXT_MAX_LENGTH) -> str | None:
        """Return a value as text, several joined by backslashes; None where there is none.

        A text that is longer than `max_length` characters is cut, and ends in `CUT_MARK`.
        """
        value = self._elements.get(_tag(keyword))
        if not value:
            return None
        text = _clean(decoded(value[:_VALUE_MAX_BYTES], self._elements.get(_SPECIFIC_CHARACTER_SET, b"")))
        if len(text) > max_length:
            text = text[: max_length - len(CUT_MARK)] + CUT_MARK
        return text or None

    def texts(self, keyword: str) -> tuple[str, ...] | None:
        """Return the values of an element, each once; None where there is none."""
        text = self.text(keyword)
        if text is None:
            return None
        return tuple(dict.fromkeys(filter(None, (value.strip() for value in text.split("\\"))))) or None


def match_of(encoded: bytes | None) -> Match:
    """Return the match that a response holds.

    Raises:
        MalformedMatchError: there is none, or its lengths do not fit.
    """
    if encoded is None:
        raise MalformedMatchError("a pending response without an identifier")
    try:
        return Match(elements_of(encoded))
    except MalformedDataSetError as error:
        raise MalformedMatchError(f"its identifier {error}") from error


def attribute_name(keyword: str) -> str:
    """Return the name and tag of an attribute, for people (PS3.6)."""
    tag = _tag(keyword)
    return f"{dictionary_description(tag)} ({tag >> 16:04X},{tag & 0xFFFF:04X})"


@lru_cache(maxsize=256)
def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _clean(text: str) -> str:
    """Return a text without what pads it and what databases refuse."""
    return text.replace("\x00", "").strip().encode("utf-8", "replace").decode()
