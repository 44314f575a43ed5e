"""The trace that a message belongs to: W3C Trace Context as CloudEvents extensions carry it. Pure.

The extensions are Distributed Tracing (`traceparent`, `tracestate`) and Correlation (`causationid`). What
others send is taken only as far as it is well formed: instead of one that is not, a new trace begins.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace

#: Characters of a `traceparent`; of a later version than 00 only the beginning counts.
MAX_TRACEPARENT_LENGTH = 256
#: A `traceparent` as we write it.
TRACEPARENT_PATTERN = r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_INVALID_VERSION = "ff"

#: Characters and members of a `tracestate` that is passed on (W3C Trace Context, 3.3.1).
MAX_TRACESTATE_LENGTH, MAX_TRACESTATE_MEMBERS = 512, 32
_STATE_KEY = r"[a-z0-9][a-z0-9_\-*/]{0,240}(?:@[a-z][a-z0-9_\-*/]{0,13})?"
_STATE_VALUE = r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
_STATE_MEMBER = re.compile(rf"{_STATE_KEY}={_STATE_VALUE}")

#: Characters of the id of a cause, which may be the message of any other system.
MAX_CAUSE_LENGTH = 256
_CAUSE = re.compile(rf"[\x21-\x7e]{{1,{MAX_CAUSE_LENGTH}}}")

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_SAMPLED = "01"


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A trace, and the span in it that others continue."""

    #: 32 and 16 hexadecimal digits, neither of zeros alone.
    trace_id: str
    span_id: str
    #: Two hexadecimal digits; the lowest bit: whether the caller may have recorded it.
    flags: str = _SAMPLED
    #: What vendors keep with it.
    state: str = ""

    @property
    def traceparent(self) -> str:
        """The trace as the attribute `traceparent` holds it."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def child(self, name: str) -> TraceContext:
        """Return the context of a span below; the same each time for the same name, as redelivery needs."""
        return replace(self, span_id=_digest(f"{self.trace_id} {name}", 16))


@dataclass(frozen=True, slots=True)
class Causation:
    """What a message goes back to: the trace that it continues, and the message that caused it."""

    context: TraceContext
    cause_id: str = ""
    #: Of a command: the span of its sender, and what caused the command itself; empty where not known.
    caller_span_id: str = ""
    caller_cause_id: str = ""


def read_traceparent(traceparent: object, tracestate: object = None) -> TraceContext | None:
    """Return the trace context of a message; none if it is malformed (W3C Trace Context, 3.2 and 4.3)."""
    if not isinstance(traceparent, str) or len(traceparent) > MAX_TRACEPARENT_LENGTH:
        return None
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == _INVALID_VERSION or (version == "00" and rest is not None):
        return None
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, flags, read_tracestate(tracestate))


def read_tracestate(tracestate: object) -> str:
    """Return a `tracestate` that may be passed on; empty if it is malformed or too long."""
    if not isinstance(tracestate, str) or len(tracestate) > MAX_TRACESTATE_LENGTH:
        return ""
    members = [member.strip(" \t") for member in tracestate.split(",")]
    members = [member for member in members if member]
    if len(members) > MAX_TRACESTATE_MEMBERS or not all(map(_STATE_MEMBER.fullmatch, members)):
        return ""
    return ",".join(members)


def read_cause(cause: object) -> str:
    """Return the id of the message that caused another; empty if it is none that can be kept."""
    return cause if isinstance(cause, str) and _CAUSE.fullmatch(cause) else ""


def is_trace_id(text: str) -> bool:
    """Return whether a text has the form of the id of a trace."""
    return _TRACE_ID.fullmatch(text) is not None and bool(text.strip("0"))


def command_causation(command_id: str, caller: TraceContext | None, cause_id: str = "") -> Causation:
    """Return what follows from a command: in the trace of its caller, or in one that begins with it.

    The ids are digests of the command's own, so that a command that comes twice is in one trace.
    """
    begun = caller or TraceContext(_digest(command_id, 32), "")
    return Causation(begun.child(command_id), command_id, begun.span_id, cause_id)


def _digest(text: str, length: int) -> str:
    """Return hexadecimal digits of a digest; never zeros alone, which would be no id."""
    digits = hashlib.sha256(f"doseqr trace {text}".encode()).hexdigest()[:length]
    return digits if digits.strip("0") else digits[:-1] + "1"
