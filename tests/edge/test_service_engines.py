"""An edge process that serves other engines: classes exchanged while frames run, and series of spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zmq

from eucentric_core import EucentricError, Lineage
from eucentric_core.transport import StreamPublisher
from eucentric_model_registry import BundleIdentity, build_and_sign_draft
from eucentric_models.engines import BundleDraft
from eucentric_models.fewshot import open_encoder, read_support

from ..models.engine_cases import CASES
from ..models.fewshot.scenes import CHIP_PX, chips_draft, scene
from .bench import Edge, publish, publish_until_answered
from .bundle_maker import BundleMaker, frame_of

pytestmark = pytest.mark.slow

LINEAGE = Lineage(datasets=("twin.s1",), code_version="0.1.0", trigger_id="t-1", policy="any", run_id="r-1")


def signed(draft: BundleDraft, folder: Path, bundles: BundleMaker) -> Path:
    build_and_sign_draft(folder, draft, BundleIdentity("atoms", 1, "textures", LINEAGE), bundles.signer)
    return folder


def test_classes_change_between_two_frames_of_a_running_service(
    tmp_path: Path,
    bundles: BundleMaker,
    agent_port: int,
    scope: StreamPublisher,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    (tmp_path / "draft").mkdir()
    bundle = signed(chips_draft(tmp_path / "draft"), tmp_path / "bundle", bundles)
    image = scene().image
    for name, columns in (("lattice", 0), ("other", 3), ("film", 6)):
        place = tmp_path / "support" / name
        place.mkdir(parents=True)
        for row in range(3):
            chip = image[row * CHIP_PX :, columns * CHIP_PX :][:CHIP_PX, :CHIP_PX]
            np.save(place / f"{row}.npy", chip, allow_pickle=False)
    edge = Edge(tmp_path / "home", bundles.trusted, agent_port)
    with edge.running(context):
        edge.call("install", folder=str(bundle))
        first = publish_until_answered(edge, scope, lambda number: frame_of(image, number))
        # These wait or are under way when the classes change.
        last = first + 4
        for sequence in range(first, last):
            publish(scope, frame_of(image, sequence))
        before = edge.results_of(first, "detections", "class_map")
        changed = edge.call("support", path=str(tmp_path / "support"))
        publish(scope, frame_of(image, last))
        after = edge.results_of(last, "detections", "class_map")
        status = edge.status()
        support = read_support(tmp_path / "support", open_encoder("handmade"))
        sent = edge.call("support", document=support.to_json().decode())
        given_back = edge.call("support")
        with pytest.raises(EucentricError, match="cannot be read"):
            edge.call("support", document='{"schema_version": 1}')
        unchanged = edge.status()["classes"]
    assert sent["classes"] == changed["classes"]
    assert given_back["classes"] == ["a", "b", "none of these"] == unchanged
    assert before["detections"][0].classes == ("a", "b", "none of these")
    assert changed["classes"] == ["film", "lattice", "other", "none of these"]
    assert float(str(changed["swap_s"])) > 0
    assert after["detections"][0].classes == ("film", "lattice", "other", "none of these")
    assert set(np.unique(after["class_map"][1])) <= {0, 1, 2, 3}
    # Every frame was answered with the classes before or with those after, by one version.
    headers = [header for header, _ in edge.results]
    assert {header.model_version for header in headers} == {1}
    assert [header.sequence for header in headers[::2]][-5:] == list(range(first, last + 1))
    known = {before["detections"][0].classes, after["detections"][0].classes}
    assert {header.classes for header in headers} == known
    assert status["classes"] == changed["classes"]
    assert (status["frames_refused"], status["sequence_gaps"]) == (0, 0)


def test_a_series_of_spectra_is_answered_with_what_comes_next(
    tmp_path: Path,
    bundles: BundleMaker,
    agent_port: int,
    scope: StreamPublisher,
    context: zmq.Context[zmq.Socket[bytes]],
) -> None:
    case = CASES["spectra"]
    (tmp_path / "draft").mkdir()
    bundle = signed(case.draft(tmp_path / "draft"), tmp_path / "bundle", bundles)
    edge = Edge(tmp_path / "home", bundles.trusted, agent_port)
    with edge.running(context):
        edge.call("install", folder=str(bundle))
        series = case.image()
        sequence = publish_until_answered(edge, scope, lambda number: frame_of(series, number))
        for unfit in (case.unfit["other channels"], case.unfit["too short"]):
            publish(scope, frame_of(unfit.astype(np.float32), sequence))
            sequence += 1
        publish(scope, frame_of(series, sequence))
        header, table = edge.results_of(sequence, "table")["table"]
        status = edge.status()
    assert (status["engine"], status["frames_refused"]) == ("spectra", 2)
    assert header.pixel_size_m is None
    assert header.drift_score > 0
    assert {"waiting", "engine", "decoding"} <= set(header.stages_s)
    assert table.shape[0] == series.shape[1]
    assert np.isfinite(table).all()
