"""An edge tells how fast a challenger is on its own machine; what is measured never answers a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import zmq

from eucentric_core import (
    BUNDLE_ENVELOPE,
    BundleError,
    CommandRefusedError,
    EucentricError,
    LatencyMeasurement,
    load_settings,
    sha256_file,
    verify_bundle,
)
from eucentric_core.transport import StreamPublisher
from eucentric_edge._measure_method import measure_methods
from eucentric_edge._open_trust import Releases
from eucentric_edge._shadow import Shadow
from eucentric_edge._trial_methods import trial_methods

from .bench import Edge as EdgeProcess
from .bench import publish
from .bundle_maker import SHAPE, BundleMaker, frame_of, image
from .test_releases import Edge, Hub


@pytest.fixture
def hub(tmp_path: Path, bundles: BundleMaker) -> Hub:
    return Hub(tmp_path / "hub", bundles)


@pytest.fixture
def edge(tmp_path: Path, hub: Hub) -> Edge:
    return Edge(tmp_path / "site", hub)


def asked(edge: Edge, folder: Path, **request: Any) -> LatencyMeasurement:
    """Call `measure` of an edge that goes by releases."""
    settings = load_settings(flags={"home": str(folder)}, environment={})
    releases = Releases(edge.metadata, edge.trust, edge.source)
    methods = measure_methods(settings, edge.installer, edge.slot, releases, frame_shape=lambda: None)
    return LatencyMeasurement.model_validate(methods["measure"]({"frames": 5, **request}))


def challenge(hub: Hub, bundles: BundleMaker, version: int) -> Path:
    """Release a version to be tried."""
    folder = bundles.make(version)
    manifest = verify_bundle(folder, bundles.trusted, expected_name="atoms", newer_than=None)
    hub.book.publish(folder, manifest, reason="to be measured", who="test", challenger=True)
    return folder


def test_a_released_challenger_is_fetched_measured_and_not_served(
    hub: Hub, edge: Edge, bundles: BundleMaker, tmp_path: Path
) -> None:
    with pytest.raises(CommandRefusedError, match="No challenger was released"):
        asked(edge, tmp_path)
    hub.release(1)
    edge.watch.look()
    folder = challenge(hub, bundles, 2)
    measured = asked(edge, tmp_path)
    assert (measured.model_version, measured.shape, measured.frames) == (2, SHAPE, 5)
    assert measured.envelope_sha256 == sha256_file(folder / BUNDLE_ENVELOPE)
    assert 0 < measured.p50_ms <= measured.p99_ms
    assert "ms p99" in measured.sentence
    # It is no release: the edge neither takes it by itself nor when it is handed over.
    assert edge.watch.look() is None
    with pytest.raises(BundleError, match="not the one that the newest release names"):
        edge.install(folder)
    assert edge.version == 1
    assert not (tmp_path / "edge" / "challenger").exists()
    serving = asked(edge, tmp_path, serving=True)
    assert serving.model_version == 1


def test_a_released_challenger_is_fetched_into_the_shadow_and_answers_no_frame(
    hub: Hub, edge: Edge, bundles: BundleMaker, tmp_path: Path
) -> None:
    shadow, refusals = Shadow(share=0.2), list[EucentricError]()
    settings = load_settings(flags={"home": str(tmp_path)}, environment={})
    ask = trial_methods(
        settings,
        edge.installer,
        edge.slot,
        shadow,
        Releases(edge.metadata, edge.trust, edge.source),
        frame_shape=lambda: None,
        refused=refusals.append,
    )["challenge"]
    with pytest.raises(CommandRefusedError, match="No challenger was released"):
        ask({"released": True})
    assert [error.what for error in refusals] == ["No challenger was released for a trial."]
    hub.release(1)
    edge.watch.look()
    challenge(hub, bundles, 2)
    assert ask({"released": True}) == {"model_version": 2}
    report = shadow.report()
    assert report is not None
    assert report["model_version"] == 2
    assert edge.version == 1
    assert not (tmp_path / "edge" / "challenger").exists()
    assert ask({}) == {"model_version": None}
    assert shadow.report() is None


def test_a_challenger_whose_files_were_changed_is_not_run(
    hub: Hub, edge: Edge, bundles: BundleMaker, tmp_path: Path
) -> None:
    challenge(hub, bundles, 2)
    (hub.folder / "bundles" / "atoms" / "v000002" / "member-0.safetensors").write_bytes(b"other weights")
    with pytest.raises(EucentricError, match="not"):
        asked(edge, tmp_path)
    with pytest.raises(CommandRefusedError, match="No model is in service"):
        asked(edge, tmp_path, serving=True)


def test_many_challengers_push_no_released_bundle_out(hub: Hub, edge: Edge, bundles: BundleMaker) -> None:
    hub.release(1)
    for version in range(2, 9):
        challenge(hub, bundles, version)
    edge.watch.look()
    assert edge.version == 1


@pytest.mark.slow
def test_an_edge_that_goes_by_keys_measures_the_folder_it_is_given_beside_its_frames(
    tmp_path: Path,
    bundles: BundleMaker,
    agent_port: int,
    scope: StreamPublisher,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    edge = EdgeProcess(tmp_path / "home", bundles.trusted, agent_port)
    with edge.running(context):
        with pytest.raises(EucentricError, match="No challenger was named"):
            edge.call("measure")
        edge.call("install", folder=str(bundles.make(1)))
        sequence = 0
        while edge.status()["frames_answered"] == 0:
            publish(scope, frame_of(image(1), sequence))
            sequence += 1
        measured = LatencyMeasurement.model_validate(edge.call("measure", folder=str(bundles.make(2))))
        assert (measured.model_version, measured.shape, measured.beside_frames) == (2, SHAPE, True)
        assert measured.pixel_size_m == 1e-11
        publish(scope, frame_of(image(2), sequence))
        edge.listen_until(sequence)
    assert {header.model_version for header, _ in edge.results} == {1}
