"""OpenTelemetry spans of a trace, where OTEL_* settings ask for them and the extra `otel` is installed.

Every process of a loop (flow, worker, edge) makes spans of the same trace without having been handed a
context: the trace id follows from the trigger (`trace_id_of`), and the id of the root span from the trace id.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from ._trace import current_trace_id, root_span_id, tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["flush_spans", "root_span", "span", "spans_wanted"]

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_FLUSH_MS = 5000
_log = logging.getLogger(__name__)

Attribute = str | int | float | bool


def spans_wanted() -> bool:
    """Whether the OTEL_* variables name somewhere to send spans to."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    return exporter not in ("", "none") or (
        exporter != "none" and any(os.environ.get(name) for name in _ENDPOINTS)
    )


@contextmanager
def span(name: str, trace_id: str | None = None, **attributes: Attribute) -> Iterator[None]:
    """A piece of work of the current trace, or of another one; without OpenTelemetry only the trace id.

    Args:
        name: of the work, e.g. `edge.install`.
        trace_id: None for the current one; outside every trace no span is made.
        attributes: facts about it; keys are written as `eucentric.<key>`.
    """
    wanted = trace_id or current_trace_id()
    with tracing(wanted), _recorded(name, wanted, attributes, root=False):
        yield


@contextmanager
def root_span(name: str, trace_id: str, **attributes: Attribute) -> Iterator[None]:
    """The first span of a trace, which every other one has as its parent."""
    with tracing(trace_id), _recorded(name, trace_id, attributes, root=True):
        yield


def flush_spans() -> None:
    """Send what is recorded; before a process ends."""
    provider = _provider() if spans_wanted() else None
    if provider is not None:
        provider.force_flush(_FLUSH_MS)


@contextmanager
def _recorded(
    name: str, trace_id: str | None, attributes: Mapping[str, Attribute], *, root: bool
) -> Iterator[None]:
    provider = _provider() if trace_id is not None and spans_wanted() else None
    if provider is None or trace_id is None:
        yield
        return
    from opentelemetry import trace

    parent = trace.SpanContext(
        int(trace_id, 16), int(root_span_id(trace_id), 16), True, trace.TraceFlags(trace.TraceFlags.SAMPLED)
    )
    context = trace.set_span_in_context(trace.NonRecordingSpan(parent))
    facts = {f"eucentric.{key}": value for key, value in attributes.items()}
    tracer = provider.get_tracer("eucentric")
    if not root:
        with tracer.start_as_current_span(name, context=context, attributes=facts):
            yield
        return
    with (
        _ids(provider).of_root(trace_id),
        tracer.start_as_current_span(
            name, context=trace.set_span_in_context(trace.INVALID_SPAN), attributes=facts
        ) as opened,
    ):
        _ids(provider).used()
        opened.set_attribute("eucentric.trace_id", trace_id)
        yield


@cache
def _provider() -> TracerProvider | None:
    try:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        _log.warning(
            "OTEL_* settings ask for spans, but %s is missing: pip install 'eucentric[otel]'", error.name
        )
        return None
    exporters = [found for name in _exporter_names() if (found := _exporter(name)) is not None]
    if not exporters:
        return None
    service = os.environ.get("OTEL_SERVICE_NAME", "eucentric")
    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), id_generator=_root_ids(), shutdown_on_exit=True
    )
    for exporter in exporters:
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    return provider


def _exporter_names() -> list[str]:
    asked = os.environ.get("OTEL_TRACES_EXPORTER") or "otlp"
    protocol = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or os.environ.get(
        "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"
    )
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    return [otlp if name.strip() == "otlp" else name.strip() for name in asked.split(",")]


def _exporter(name: str) -> Any | None:
    for found in importlib.metadata.entry_points(group="opentelemetry_traces_exporter", name=name):
        return found.load()()
    _log.warning("no OpenTelemetry exporter %r is installed; spans are not sent there", name)
    return None


def _root_ids() -> Any:
    from ._span_ids import RootIds

    return RootIds()


def _ids(provider: TracerProvider) -> Any:
    return provider.id_generator
