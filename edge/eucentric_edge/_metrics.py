"""What an edge tells Prometheus, and whether it is well: `/metrics` and `/health` over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import JsonValue

from eucentric_core import ConfigurationError

__all__ = ["metrics_text", "serving_metrics"]

_REQUEST_TIMEOUT_S = 5.0

_COUNTERS = {
    "frames_received": "Frames that arrived.",
    "frames_answered": "Frames whose results were published.",
    "frames_refused": "Frames that could not be analysed.",
    "sequence_gaps": "Frames that were skipped within a session.",
}
_GAUGES = {
    "model_version": ("model_version", "Version in service; 0 without one."),
    "drift_score": ("drift_score", "Median drift score of the window; 1 is the edge of normal."),
    "entropy_ratio": ("entropy_ratio", "Median entropy over that of the reference."),
    "latency_p50_s": ("latency_p50_seconds", "Median from receipt to result, last 1000 frames."),
    "latency_p99_s": ("latency_p99_seconds", "99th percentile of the same."),
}


class _Status(Collector):
    def __init__(self, status: Mapping[str, JsonValue]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"eucentric_edge_{name}", text, value=_number(self._status.get(name)))
        for key, (name, text) in _GAUGES.items():
            yield GaugeMetricFamily(f"eucentric_edge_{name}", text, value=_number(self._status.get(key)))
        stages = self._status.get("stages_p50_s")
        if isinstance(stages, dict):
            family = GaugeMetricFamily(
                "eucentric_edge_stage_p50_seconds", "Median of each step of a frame.", labels=["stage"]
            )
            for stage, took_s in stages.items():
                family.add_metric([stage], _number(took_s))
            yield family
        shadow = self._status.get("challenger")
        if isinstance(shadow, dict):
            for key in ("agreement", "frames", "failed", "took_s"):
                yield GaugeMetricFamily(
                    f"eucentric_edge_challenger_{key.replace('_s', '_seconds')}",
                    "Of the challenger that runs in the shadow.",
                    value=_number(shadow.get(key)),
                )


def metrics_text(status: Mapping[str, JsonValue]) -> bytes:
    """The status as Prometheus reads it."""
    registry = CollectorRegistry()
    registry.register(_Status(status))
    return generate_latest(registry)


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


@contextmanager
def serving_metrics(host: str, port: int, status: Callable[[], Mapping[str, JsonValue]]) -> Iterator[int]:
    """Answer `GET /metrics` and `GET /health` until the end; yields the port.

    `/health` is 200 while a model serves, and 503 with the same JSON while none does.

    Raises:
        ConfigurationError: the port is in use.
    """

    class Handler(BaseHTTPRequestHandler):
        timeout = _REQUEST_TIMEOUT_S

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, metrics_text(status()))
            elif self.path == "/health":
                now = status()
                well = now.get("model_version") is not None
                body = json.dumps({key: now.get(key) for key in ("state", "source", "model_version")})
                code = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(code, "application/json", body.encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics or /health\n")

        def _answer(self, code: HTTPStatus, kind: str, body: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            return None

    try:
        server = ThreadingHTTPServer((host, port), Handler)
    except OSError as error:
        raise ConfigurationError(
            f"Metrics cannot be served on {host}:{port}: {error.strerror}.",
            safe="nothing was started.",
            next_step="choose another edge.metrics_port.",
        ) from error
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="edge-metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_REQUEST_TIMEOUT_S)
