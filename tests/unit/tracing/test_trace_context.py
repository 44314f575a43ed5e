"""What others send as a trace is taken as far as it is well formed; what we begin is the same each time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.tracing.trace_context import (
    MAX_CAUSE_LENGTH,
    TRACEPARENT_PATTERN,
    TraceContext,
    command_causation,
    is_trace_id,
    read_cause,
    read_traceparent,
    read_tracestate,
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("traceparent", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-01", "01"),
        (f"00-{TRACE}-{SPAN}-00", "00"),
        (f"cc-{TRACE}-{SPAN}-03-what-comes-later", "03"),
    ],
)
def test_a_well_formed_trace_is_continued(traceparent, flags):
    assert read_traceparent(traceparent) == TraceContext(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "traceparent",
    [
        None,
        7,
        "",
        [f"00-{TRACE}-{SPAN}-01"],
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01\n",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"01-{TRACE}-{SPAN}-01-" + "x" * 300,
    ],
)
def test_a_malformed_trace_is_left_out(traceparent):
    assert read_traceparent(traceparent) is None


@pytest.mark.parametrize(
    ("tracestate", "kept"),
    [
        ("congo=t61rcWkgMzE", "congo=t61rcWkgMzE"),
        ("rojo=00f067aa0ba902b7 , congo=t61,", "rojo=00f067aa0ba902b7,congo=t61"),
        ("fw529a3039@dt=FfD;x:y", "fw529a3039@dt=FfD;x:y"),
        (None, ""),
        ({"congo": 1}, ""),
        ("Congo=1", ""),
        ("congo", ""),
        ("congo=a=b", ""),
        ("congo=a\nb", ""),
        ("congo=" + "x" * 600, ""),
        (",".join(f"k{number}=1" for number in range(33)), ""),
    ],
)
def test_a_tracestate_is_passed_on_whole_or_not(tracestate, kept):
    assert read_tracestate(tracestate) == kept


@pytest.mark.parametrize(
    ("cause", "kept"),
    [("order-123", "order-123"), ("", ""), (5, ""), ("a b", ""), ("ä", ""), ("x" * 257, ""), ("a\0", "")],
)
def test_a_cause_is_a_short_visible_id(cause, kept):
    assert read_cause(cause) == kept
    assert len(read_cause(cause)) <= MAX_CAUSE_LENGTH


@given(st.text(max_size=80), st.text(max_size=80))
def test_whatever_comes_is_read_without_an_error(traceparent, tracestate):
    context = read_traceparent(traceparent, tracestate)
    assert context is None or re.fullmatch(TRACEPARENT_PATTERN, context.traceparent)


@given(st.from_regex(r"\A[A-Za-z0-9_-]{1,64}\Z"))
def test_a_command_begins_the_same_trace_each_time(command_id):
    # When
    first, second = command_causation(command_id, None), command_causation(command_id, None)
    # Then
    assert first == second
    assert is_trace_id(first.context.trace_id)
    assert re.fullmatch(TRACEPARENT_PATTERN, first.context.traceparent)
    assert (first.cause_id, first.caller_span_id) == (command_id, "")


def test_a_command_continues_the_trace_of_its_caller():
    # Given
    caller = TraceContext(TRACE, SPAN, "00", "congo=1")
    # When
    begun = command_causation("job-1", caller, "order-7")
    # Then
    assert (begun.context.trace_id, begun.context.flags, begun.context.state) == (TRACE, "00", "congo=1")
    assert begun.context.span_id not in (SPAN, command_causation("job-2", caller).context.span_id)
    assert (begun.cause_id, begun.caller_span_id, begun.caller_cause_id) == ("job-1", SPAN, "order-7")
