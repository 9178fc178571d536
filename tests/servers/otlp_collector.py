"""A collector of OpenTelemetry for tests: keeps the spans that the real exporter sends over HTTP."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

__all__ = ["Collector", "Span", "running_collector"]

_PATH = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it arrived: ids in hexadecimal; the parent's is empty for the first of a trace."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str


class Collector(ThreadingHTTPServer):
    """Keeps every span, in the order in which they arrive."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._spans: list[Span] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """For `OTEL_EXPORTER_OTLP_ENDPOINT`."""
        return f"http://127.0.0.1:{self.server_port}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        """Keep what a process exported."""
        with self._lock:
            self._spans += [
                Span(span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                for resource in request.resource_spans
                for scope in resource.scope_spans
                for span in scope.spans
            ]

    def of(self, trace_id: str) -> list[Span]:
        """The spans of a trace that have arrived."""
        with self._lock:
            return [span for span in self._spans if span.trace_id == trace_id]


class _Handler(BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        status = 200 if self.path == _PATH else 404
        if status == 200:
            try:
                self.server.take(ExportTraceServiceRequest.FromString(body))
            except DecodeError:
                status = 400
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def running_collector() -> Iterator[Collector]:
    """A collector on a free port."""
    with Collector() as collector:
        thread = threading.Thread(target=collector.serve_forever, args=(0.05,), name="otlp")
        thread.start()
        try:
            yield collector
        finally:
            collector.shutdown()
            thread.join()
