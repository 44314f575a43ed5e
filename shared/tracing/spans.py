"""Spans of commands, tasks, associations and batches of objects; nothing where it is off.

A span carries ids of jobs, tasks and nodes, numbers and codes: nothing that a peer or a person wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from shared.tracing.current import continuing, current_causation
from shared.tracing.trace_context import Causation, TraceContext

AttributeValue = str | int | float | bool
Attributes = Mapping[str, AttributeValue]

#: The span within which a new one begins; none: below the command of the work.
_parent: ContextVar[TraceContext | None] = ContextVar("parent span", default=None)


class TraceSpan(Protocol):
    """A part of the work that is being recorded, or not."""

    def set(self, name: str, value: AttributeValue) -> None:
        """Set an attribute."""
        ...

    def fail(self, code: str) -> None:
        """Mark it as failed, with a stable code."""
        ...


class SpanExport(Protocol):
    """Where spans go."""

    def command(
        self, causation: Causation, name: str, attributes: Attributes
    ) -> AbstractContextManager[tuple[TraceSpan, TraceContext]]:
        """Record the handling of a command as the span that its causation names."""
        ...

    def part(
        self, parent: TraceContext | None, name: str, attributes: Attributes, *, to_peer: bool
    ) -> AbstractContextManager[tuple[TraceSpan, TraceContext]]:
        """Record a part below another span; without one it begins a trace."""
        ...

    def ended(self, parent: TraceContext | None, name: str, begun: datetime, attributes: Attributes) -> None:
        """Record a part that has just ended."""
        ...


class _NoSpan:
    def set(self, name: str, value: AttributeValue) -> None:
        pass

    def fail(self, code: str) -> None:
        pass


NO_SPAN: TraceSpan = _NoSpan()

_export: SpanExport | None = None


def export_spans(export: SpanExport | None) -> None:
    """Send the spans of this process there; None: nowhere, as at first."""
    global _export  # noqa: PLW0603 - one for the process, as its log and its metrics
    _export = export


def spans_are_exported() -> bool:
    """Return whether spans go anywhere."""
    return _export is not None


@contextmanager
def command_span(causation: Causation, name: str, attributes: Attributes) -> Iterator[TraceSpan]:
    """Record the handling of a command, and mark what follows from it."""
    if _export is None:
        with continuing(causation):
            yield NO_SPAN
        return
    with (
        _export.command(causation, name, attributes) as (command, context),
        _below(context),
        continuing(replace(causation, context=context)),
    ):
        yield command


@contextmanager
def span(name: str, attributes: Attributes, *, to_peer: bool = False) -> Iterator[TraceSpan]:
    """Record a part of the work of this thread; `to_peer`: it is a request to another system."""
    if _export is None:
        yield NO_SPAN
        return
    causation = current_causation()
    parent = _parent.get() or (causation.context if causation is not None else None)
    with _export.part(parent, name, attributes, to_peer=to_peer) as (part, context), _below(context):
        yield part


def ended_span(name: str, parent: TraceContext | None, begun: datetime, attributes: Attributes) -> None:
    """Record a part that has just ended, of another job than this thread works on."""
    if _export is not None:
        _export.ended(parent, name, begun, attributes)


@contextmanager
def _below(context: TraceContext) -> Iterator[None]:
    token = _parent.set(context)
    try:
        yield
    finally:
        _parent.reset(token)
