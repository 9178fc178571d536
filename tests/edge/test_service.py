"""The edge as a process between a microscope and those who listen to its results."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import zmq

from eucentric_core import BundleError, CommandRefusedError
from eucentric_core.transport import StreamPublisher

from .bench import Edge, microscope, publish, publish_until_answered
from .bundle_maker import BundleMaker, frame_of, image, striped_image

pytestmark = pytest.mark.slow


@pytest.fixture
def edge(tmp_path: Path, bundles: BundleMaker, agent_port: int) -> Edge:
    return Edge(
        tmp_path / "home", bundles.trusted, agent_port, drift_window_frames=4, entropy_ratio_limit=1.01
    )


def install(edge: Edge, folder: Path) -> dict[str, object]:
    return edge.call("install", folder=str(folder))


def wait_subscribed(edge: Edge, scope: StreamPublisher) -> int:
    """Publish frames until one is answered; the sequence number of the next."""
    sequence = publish_until_answered(edge, scope, lambda number: frame_of(image(5), number))
    edge.listen_until(sequence - 1)
    edge.results.clear()
    return sequence


def test_an_edge_without_a_model_says_so_and_starts_with_the_first_one(
    edge: Edge, scope: StreamPublisher, bundles: BundleMaker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with edge.running(context):
        assert edge.call("ping")["state"] == "no model"
        assert edge.status()["source"] == "waiting for a model"
        with pytest.raises(CommandRefusedError, match="no previous version"):
            edge.call("rollback", reason="nothing is there")

        answer = install(edge, bundles.make(1))
        assert (answer["version"], answer["previous_version"]) == (1, None)
        installed = edge.listen_for_event("model.installed")
        assert (installed.source, installed.kind) == ("edge-1", "model.installed")
        assert edge.call("ping")["state"] == "serving"

        first = wait_subscribed(edge, scope)
        for sequence in range(first, first + 5):
            publish(scope, frame_of(image(sequence), sequence))
        edge.listen_until(first + 4)
        headers = [header for header, _ in edge.results]
        assert [header.stream for header in headers] == ["detections", "uncertainty"] * 5
        assert [header.sequence for header in headers[::2]] == list(range(first, first + 5))
        status = edge.status()
        assert (status["source"], status["frames_refused"], status["sequence_gaps"]) == ("receiving", 0, 0)
        assert 0 < float(str(status["latency_p50_s"])) <= float(str(status["latency_p99_s"]))


def test_no_frame_is_lost_or_mixed_while_models_are_swapped(
    edge: Edge, scope: StreamPublisher, bundles: BundleMaker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    published = [bundles.make(version) for version in (2, 3)]
    with edge.running(context):
        install(edge, bundles.make(1))
        first = wait_subscribed(edge, scope)

        swapped = threading.Event()

        def swap() -> None:
            for folder in published:
                install(edge, folder)
            swapped.set()

        swapping = threading.Thread(target=swap)
        swapping.start()
        sequence = first
        while not swapped.is_set() or sequence < first + 20:
            publish(scope, frame_of(image(5), sequence))
            edge.listen_until(sequence)
            sequence += 1
        swapping.join()
        publish(scope, frame_of(image(5), sequence))
        edge.listen_until(sequence)

        detections, uncertainties = edge.results[::2], edge.results[1::2]
        assert [header.sequence for header, _ in detections] == list(range(first, sequence + 1))
        versions = [header.model_version for header, _ in detections]
        assert versions == sorted(versions)
        assert versions[-1] == 3
        right = {v: bundles.ensemble(v).infer(image(5)).deviation.astype(np.float16) for v in (1, 2, 3)}
        for header, array in uncertainties:
            np.testing.assert_array_equal(array, right[header.model_version])

        assert edge.call("rollback", reason="the operator prefers it")["version"] == 2
        publish(scope, frame_of(image(5), sequence + 1))
        edge.listen_until(sequence + 1)
        assert edge.results[-1][0].model_version == 2


def test_a_refused_bundle_and_poison_frames_stop_nothing(
    edge: Edge, scope: StreamPublisher, bundles: BundleMaker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    spoiled = bundles.make(2)
    (spoiled / "member-0.safetensors").write_bytes(b"nothing")
    with edge.running(context):
        install(edge, bundles.make(1))
        first = wait_subscribed(edge, scope)

        with pytest.raises(BundleError, match="member-0"):
            install(edge, spoiled)
        assert edge.listen_for_event("model.refused").kind == "model.refused"
        with pytest.raises(CommandRefusedError, match="field required"):
            edge.call("install")

        broken = image(5)
        broken[0, 0] = np.nan
        publish(scope, frame_of(broken, first))
        publish(scope, frame_of(np.zeros((2, 48, 40), np.float32), first + 1, axes=()))
        publish(scope, frame_of(image(5), first + 2, axes=()))
        publish(scope, frame_of(image(5), first + 3))
        edge.listen_until(first + 3)
        assert [header.sequence for header, _ in edge.results] == [first + 3, first + 3]
        status = edge.status()
        assert (status["frames_refused"], status["sequence_gaps"]) == (3, 0)
        assert "pixel size" in str(status["last_refusal"])
        assert status["model_version"] == 1


def test_drift_is_announced_once_and_so_is_its_end(
    edge: Edge, scope: StreamPublisher, bundles: BundleMaker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with edge.running(context):
        install(edge, bundles.make(1))
        first = wait_subscribed(edge, scope)
        drifted_from, end = first + 6, first + 16
        for sequence in range(first, end):
            # The same images in every run, however long the subscription took.
            seed = sequence - first
            array = image(seed) if sequence < drifted_from else striped_image(seed)
            publish(scope, frame_of(array, sequence, material="mos2"))
        edge.listen_until(end - 1)
        drifts = [event for event in edge.events if event.kind == "drift.detected"]
        assert len(drifts) == 1
        (drift,) = drifts
        facts = drift.model_dump()
        # Noise decides which frame opens both gates; test_drift_monitor.py holds the rule to the frame.
        assert drifted_from <= facts["first_sequence"] <= facts["sequence"] < end
        assert facts["model_version"] == 1
        assert (facts["session"], facts["material"]) == ("s1", "mos2")
        assert facts["drift_score"] > 1
        assert edge.status()["drift_reported"] is True
        for sequence in range(end, end + 12):
            publish(scope, frame_of(image(sequence - end), sequence, material="mos2"))
        edge.listen_until(end + 11)
        assert [event.kind for event in edge.events if event.kind.startswith("drift")] == [
            "drift.detected",
            "drift.recovered",
        ]
        assert edge.status()["drift_reported"] is False


def test_a_killed_edge_comes_back_with_its_model_and_a_stopped_one_ends_cleanly(
    edge: Edge, scope: StreamPublisher, bundles: BundleMaker, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    with edge.running(context) as process:
        install(edge, bundles.make(1))
        os.kill(process.pid, signal.SIGKILL)
    (edge.home / "run" / "edge.json").unlink(missing_ok=True)
    with edge.running(context) as process:
        assert edge.status()["model_version"] == 1
        sequence = wait_subscribed(edge, scope)
        assert sequence > 0
        process.stop(grace_s=5)
        assert not (edge.home / "run" / "edge.json").exists()


def test_a_start_that_cannot_succeed_is_one_sentence_and_status_two(edge: Edge) -> None:
    def start() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "eucentric_edge", "serve", "--config", str(edge.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    with zmq.Context() as context, microscope(context, edge.data_port):
        taken = start()
    assert taken.returncode == 2
    assert f"Port {edge.data_port}" in taken.stderr
    (edge.home / "trusted-keys.json").unlink()
    without_keys = start()
    assert without_keys.returncode == 2
    assert "does not exist" in without_keys.stderr
    assert "Traceback" not in taken.stderr + without_keys.stderr
