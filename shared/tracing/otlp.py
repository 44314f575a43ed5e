"""Spans as OpenTelemetry exports them over OTLP/HTTP, configured by its own variables.

Imported only where it is switched on. Nothing waits for the collector: spans wait in a bounded queue for one
thread, and what does not fit is dropped.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime

import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OpenTelemetrySpan

from shared.dicom.errors import InterruptedWorkError, NotNowError
from shared.metrics.process_metrics import spans_exported
from shared.tracing.spans import Attributes, AttributeValue, TraceSpan
from shared.tracing.trace_context import Causation, TraceContext

log = structlog.get_logger(__name__)

#: Seconds for which the end of a process waits for the last spans to go out.
STOP_WITHIN_S = 2.0

#: The ids of the span that begins now; none: any.
_ids: ContextVar[TraceContext | None] = ContextVar("ids of a span", default=None)


class OtlpSpans:
    """Sends spans to the endpoint of OTEL_EXPORTER_OTLP_ENDPOINT; safe to use from any thread."""

    def __init__(self, service: str, worker: str, version: str) -> None:
        """Begin to export.

        Raises:
            ValueError: a variable of OpenTelemetry is malformed.
        """
        own = {SERVICE_NAME: f"doseqr-{service}", SERVICE_INSTANCE_ID: worker, SERVICE_VERSION: version}
        # What OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say counts.
        resource = Resource(own).merge(Resource.create())
        if resource.attributes[SERVICE_NAME] == "unknown_service":
            resource = resource.merge(Resource({SERVICE_NAME: own[SERVICE_NAME]}))
        self._provider = TracerProvider(resource=resource, id_generator=_Ids(), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(_NotingExporter(OTLPSpanExporter())))
        self._tracer = self._provider.get_tracer("doseqr", version)

    def stop(self) -> None:
        """Send what waits, but wait only shortly for it."""
        thread = threading.Thread(target=self._provider.shutdown, name="last spans", daemon=True)
        thread.start()
        thread.join(STOP_WITHIN_S)

    @contextmanager
    def command(
        self, causation: Causation, name: str, attributes: Attributes
    ) -> Iterator[tuple[TraceSpan, TraceContext]]:
        """Record the handling of a command as the span that its causation names."""
        context = causation.context
        caller = causation.caller_span_id
        parent = TraceContext(context.trace_id, caller, context.flags, context.state) if caller else None
        token = _ids.set(context)
        try:
            begun = self._begin(parent, name, attributes, SpanKind.CONSUMER)
        finally:
            _ids.reset(token)
        with self._recorded(begun) as span:
            # An unsampled span keeps its ids: what follows is in the same trace.
            sampled = begun.get_span_context().trace_flags.sampled
            yield span, TraceContext(context.trace_id, context.span_id, f"{sampled:02x}", context.state)

    @contextmanager
    def part(
        self, parent: TraceContext | None, name: str, attributes: Attributes, *, to_peer: bool
    ) -> Iterator[tuple[TraceSpan, TraceContext]]:
        """Record a part below another span; without one it begins a trace."""
        begun = self._begin(parent, name, attributes, SpanKind.CLIENT if to_peer else SpanKind.INTERNAL)
        own = begun.get_span_context()
        state = parent.state if parent is not None else ""
        context = TraceContext(
            f"{own.trace_id:032x}", f"{own.span_id:016x}", f"{int(own.trace_flags):02x}", state
        )
        with self._recorded(begun) as span:
            yield span, context

    def ended(self, parent: TraceContext | None, name: str, begun: datetime, attributes: Attributes) -> None:
        """Record a part that has just ended."""
        start = int(begun.timestamp() * 1e9)
        self._begin(parent, name, attributes, SpanKind.INTERNAL, start).end()

    def _begin(
        self,
        parent: TraceContext | None,
        name: str,
        attributes: Attributes,
        kind: SpanKind,
        start: int | None = None,
    ) -> OpenTelemetrySpan:
        return self._tracer.start_span(
            name, _context_of(parent), kind, attributes=dict(attributes), start_time=start
        )

    @contextmanager
    def _recorded(self, begun: OpenTelemetrySpan) -> Iterator[TraceSpan]:
        trace_id = f"{begun.get_span_context().trace_id:032x}"
        span = _RecordedSpan(begun)
        try:
            with structlog.contextvars.bound_contextvars(trace_id=trace_id):
                yield span
        except (InterruptedWorkError, NotNowError) as wait:
            span.set("doseqr.outcome", "interrupted" if isinstance(wait, InterruptedWorkError) else "not_now")
            raise
        except BaseException as error:
            # Its text may be that of a peer.
            span.fail(str(getattr(error, "code", type(error).__name__)))
            raise
        finally:
            begun.end()


class _RecordedSpan:
    def __init__(self, span: OpenTelemetrySpan) -> None:
        self._span = span

    def set(self, name: str, value: AttributeValue) -> None:
        self._span.set_attribute(name, value)

    def fail(self, code: str) -> None:
        self._span.set_attribute("error.type", code)
        self._span.set_status(Status(StatusCode.ERROR))


class _Ids(IdGenerator):
    """Gives a span of a command the ids that follow from the command, and every other one random ids."""

    def generate_trace_id(self) -> int:
        """Return the id of a trace that begins."""
        wanted = _ids.get()
        return int(wanted.trace_id, 16) if wanted is not None else random.getrandbits(127) + 1

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        wanted = _ids.get()
        return int(wanted.span_id, 16) if wanted is not None else random.getrandbits(63) + 1


class _NotingExporter(SpanExporter):
    """Notes in log and metrics whether spans arrive: once when that changes, not for each batch."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._arrive = True

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch."""
        result = self._exporter.export(spans)
        arrived = result is SpanExportResult.SUCCESS
        spans_exported("exported" if arrived else "failed", len(spans))
        if arrived != self._arrive:
            self._arrive = arrived
            if arrived:
                log.info("spans exported again")
            else:
                log.warning("spans not exported", detail="the collector did not take them; they are dropped")
        return result

    def shutdown(self) -> None:
        """End it."""
        self._exporter.shutdown()


def _context_of(parent: TraceContext | None) -> Context:
    if parent is None:
        return Context()
    span_context = SpanContext(
        int(parent.trace_id, 16),
        int(parent.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(parent.flags, 16)),
        trace_state=TraceState.from_header([parent.state]) if parent.state else None,
    )
    return set_span_in_context(NonRecordingSpan(span_context), Context())
