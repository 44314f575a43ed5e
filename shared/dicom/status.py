"""DIMSE status codes in words, and whether another try can help (PS3.4 annexes B and C, PS3.7 annex C)."""

from __future__ import annotations

from shared.dicom.errors import Outcome, PeerError

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
CANCELLED = 0xFE00

#: Statuses of some PACS for what is too much for them: "unable to calculate the number of matches", and the
#: warning of repository queries that matching reached the response limit.
TOO_MUCH = frozenset({OUT_OF_RESOURCES, 0xA701, 0xB001})

#: Of C-ECHO, C-FIND, C-MOVE and C-GET; a request that we cancelled has no error.
_MEANINGS = {
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0107: "warning: attribute list error",
    0x0110: "processing failure",
    0x0112: "no such SOP instance",
    0x0115: "invalid argument value",
    0x0116: "warning: attribute value out of range",
    0x0117: "invalid object instance",
    0x0118: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0210: "duplicate invocation",
    0x0211: "unrecognized operation",
    0x0212: "mistyped argument",
    0xA700: "out of resources",
    0xA701: "out of resources: unable to calculate the number of matches",
    0xA702: "out of resources: unable to perform sub-operations",
    0xA801: "move destination unknown",
    0xA900: "identifier does not match SOP class",
    0xB000: "warning: not all was done",
    0xB001: "warning: the limit of responses was reached",
    0xFE00: "ended as if by a C-CANCEL, though none was sent",
}

#: Warnings of whatever kind (PS3.7 C.4.2).
_WARNINGS = frozenset({0x0001, *range(0xB000, 0xC000)})

#: The same request fails the same way.
_PERMANENT = frozenset({0x0122, 0x0124, 0x0211, 0x0212, 0xA801, 0xA900})


def status_text(status_code: int) -> str:
    """Return the meaning of a DIMSE status code."""
    if status_code in _MEANINGS:
        return _MEANINGS[status_code]
    if 0xC000 <= status_code <= 0xCFFF:  # noqa: PLR2004 - PS3.4 C.4.1.1.4: the whole range means this
        return "unable to process"
    if status_code in _WARNINGS:
        return "warning"
    return "a status that the standard does not name"


def status_error(status_code: int) -> PeerError:
    """Return the error for a final status that is no success."""
    return PeerError(
        Outcome.STATUS,
        status_text(status_code),
        status_code=status_code,
        permanent=status_code in _PERMANENT,
    )
