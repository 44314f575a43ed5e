"""What the work of this thread goes back to: whatever it publishes is marked with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from shared.tracing.trace_context import Causation

_current: ContextVar[Causation | None] = ContextVar("causation", default=None)


def current_causation() -> Causation | None:
    """Return what the work of this thread goes back to; none if nothing is known."""
    return _current.get()


@contextmanager
def continuing(causation: Causation) -> Iterator[None]:
    """Mark what is published within."""
    token = _current.set(causation)
    try:
        yield
    finally:
        _current.reset(token)
