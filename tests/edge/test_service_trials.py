"""An edge process with a challenger in the shadow, batches, the newest frames only, and its metrics."""

from __future__ import annotations

import http.client
import time
from pathlib import Path

import pytest
import zmq

from eucentric_core import EucentricError
from eucentric_core.transport import StreamPublisher, find_free_port

from .bench import Edge, publish, publish_until_answered
from .bundle_maker import BundleMaker, frame_of, image

pytestmark = pytest.mark.slow


def read(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_a_challenger_is_compared_and_never_answers(
    tmp_path: Path,
    bundles: BundleMaker,
    agent_port: int,
    scope: StreamPublisher,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    metrics = find_free_port()
    edge = Edge(tmp_path / "home", bundles.trusted, agent_port, batch=3, metrics_port=metrics)
    with edge.running(context):
        assert read(metrics, "/health")[0] == 503
        with pytest.raises(EucentricError, match="no model is in service"):
            edge.call("support", path=str(tmp_path))
        edge.call("install", folder=str(bundles.make(1)))
        assert edge.call("challenge", folder=str(bundles.make(2)))["model_version"] == 2
        deadline_s = time.monotonic() + 90
        sequence = 0
        challenger: dict[str, object] = {}
        while not challenger.get("frames"):
            assert time.monotonic() < deadline_s
            publish(scope, frame_of(image(sequence % 4), sequence))
            sequence += 1
            found = edge.status()["challenger"]
            assert isinstance(found, dict)
            challenger = found
        assert (challenger["model_version"], challenger["failed"]) == (2, 0)
        publish(scope, frame_of(image(1), sequence))
        edge.listen_until(sequence)
        assert {header.model_version for header, _ in edge.results} == {1}
        assert {header.backend for header, _ in edge.results} == {"torch"}
        code, text = read(metrics, "/metrics")
        assert code == 200
        assert "eucentric_edge_challenger_agreement" in text
        assert read(metrics, "/health")[0] == 200
        assert edge.call("challenge")["model_version"] is None
        assert edge.status()["challenger"] is None


def test_an_edge_of_the_newest_frames_lets_the_source_run_free(
    tmp_path: Path,
    bundles: BundleMaker,
    agent_port: int,
    scope: StreamPublisher,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    edge = Edge(tmp_path / "home", bundles.trusted, agent_port, frames='"newest"')
    with edge.running(context):
        edge.call("install", folder=str(bundles.make(1)))
        sequence = publish_until_answered(edge, scope, lambda number: frame_of(image(5), number))
        # Nobody takes the results meanwhile: an edge that loses no frame would hold the source back.
        for _ in range(200):
            publish(scope, frame_of(image(5), sequence))
            sequence += 1
        edge.listen_until(sequence - 1)
        answered = [header.sequence for header, _ in edge.results[::2]]
        assert answered == sorted(set(answered))
        assert answered[-1] == sequence - 1
        assert len(answered) < sequence
        assert edge.status()["frames_refused"] == 0
