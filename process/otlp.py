"""Spans to a collector by OTLP over HTTP, in batches, from a thread of the library: OpenTelemetry's home.

Its own variables hold (``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_TRACES_SAMPLER``, ``OTEL_RESOURCE_ATTRIBUTES``,
``OTEL_BSP_*``).
"""

import time
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Span,
    SpanKind,
    StatusCode,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from process.spans import SpanTold
from schemas.traceparent import TRACEPARENT

_SEND_S = 2
_PARENTS = TraceContextTextMapPropagator()


class OtlpOpenSpan:
    """A span that has begun."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str:
        """What others are given, so that their spans are within this one."""
        own = self._span.get_span_context()
        return f"00-{format_trace_id(own.trace_id)}-{format_span_id(own.span_id)}-{own.trace_flags:02x}"

    def end(self, name: str, attributes: Mapping[str, str | int], *, failed: bool) -> None:
        """Tell that it ends now."""
        self._span.update_name(name)
        self._span.set_attributes(attributes)
        if failed:
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class OtlpSpans:
    """Where spans are told. ``endpoint``: the collector's address, without ``/v1/traces``."""

    def __init__(self, endpoint: str, service: str) -> None:
        exporter = OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces", timeout=_SEND_S)
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("searchloop")

    def begin(self, parent: str | None) -> OtlpOpenSpan:
        """Begin the span of a request, within ``parent`` if it came with one."""
        span = self._tracer.start_span("request", _within(parent), SpanKind.SERVER, start_time=time.time_ns())
        return OtlpOpenSpan(span)

    def tell(self, parent: str | None, whole: SpanTold, parts: Sequence[SpanTold]) -> None:
        """Tell of what a request took, and of its parts."""
        told = self._tracer.start_span(
            whole.name, _within(parent), SpanKind.CONSUMER, whole.attributes, start_time=whole.begin_ns
        )
        inside = set_span_in_context(told, Context())
        for part in parts:
            self._tracer.start_span(
                part.name, inside, attributes=part.attributes, start_time=part.begin_ns
            ).end(part.end_ns)
        told.end(whole.end_ns)

    def close(self) -> None:
        """Send what waits, for a moment at most."""
        self._provider.force_flush(_SEND_S * 1000)
        self._provider.shutdown()


def _within(parent: str | None) -> Context:
    return _PARENTS.extract({TRACEPARENT: parent}, Context()) if parent else Context()
