"""What Prometheus and a load balancer read of an edge."""

from __future__ import annotations

import http.client
import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from eucentric_core import ConfigurationError
from eucentric_edge._metrics import metrics_text, serving_metrics

STATUS: dict[str, object] = {
    "state": "serving",
    "source": "receiving",
    "model_version": 7,
    "frames_received": 12,
    "frames_answered": 11,
    "frames_refused": 1,
    "sequence_gaps": 0,
    "latency_p50_s": 0.02,
    "latency_p99_s": None,
    "drift_score": 0.4,
    "entropy_ratio": 1.0,
    "stages_p50_s": {"network": 0.015, "decoding": 0.004},
    "challenger": {"agreement": 0.98, "frames": 5, "failed": 0, "took_s": 0.03},
}


def values(text: bytes) -> dict[tuple[str, str], float]:
    return {
        (sample.name, sample.labels.get("stage", "")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_every_figure_of_the_status_is_a_metric_with_its_unit() -> None:
    found = values(metrics_text(STATUS))  # type: ignore[arg-type]
    assert found["eucentric_edge_frames_answered_total", ""] == 11
    assert found["eucentric_edge_model_version", ""] == 7
    assert found["eucentric_edge_latency_p50_seconds", ""] == 0.02
    assert found["eucentric_edge_latency_p99_seconds", ""] == 0
    assert found["eucentric_edge_stage_p50_seconds", "network"] == 0.015
    assert found["eucentric_edge_challenger_agreement", ""] == 0.98


def ask(port: int, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_metrics_and_health_are_served_and_nothing_else() -> None:
    now = dict(STATUS)
    with serving_metrics("127.0.0.1", 0, lambda: now) as port:  # type: ignore[arg-type,return-value]
        code, text = ask(port, "/metrics")
        assert code == 200
        assert values(text)["eucentric_edge_frames_received_total", ""] == 12
        code, text = ask(port, "/health")
        assert (code, json.loads(text)["model_version"]) == (200, 7)
        now["model_version"] = None
        assert ask(port, "/health")[0] == 503
        assert ask(port, "/../etc/passwd")[0] == 404
        with (
            pytest.raises(ConfigurationError, match=f"{port}"),
            serving_metrics("127.0.0.1", port, lambda: now),  # type: ignore[arg-type,return-value]
        ):
            pass
