"""A graph from elsewhere serves on the back end that was chosen, on as many threads as the settings say."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from eucentric_core import Lineage, load_settings
from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot
from eucentric_edge._backend_choice import BackendChoice
from eucentric_edge._tune_command import tune_here
from eucentric_model_registry import BundleIdentity, build_and_sign_draft
from eucentric_models.backends import BACKENDS, backend_named

from ..models.spot_graph import segmentation_draft, spots
from .bundle_maker import BundleMaker, frame_of

LINEAGE = Lineage(datasets=(), code_version="0.1.0", trigger_id="t-1", policy=None, run_id="r-1")

pytestmark = pytest.mark.skipif(
    backend_named("onnxruntime").unavailable() is not None, reason="needs the extra onnx"
)


@pytest.fixture
def bundle(tmp_path: Path, bundles: BundleMaker) -> Path:
    files = tmp_path / "draft"
    files.mkdir()
    folder = tmp_path / "spots"
    build_and_sign_draft(
        folder, segmentation_draft(files), BundleIdentity("atoms", 1, "any", LINEAGE), bundles.signer
    )
    return folder


def serving(choice: BackendChoice | None, bundle: Path, folder: Path, bundles: BundleMaker) -> ModelSlot:
    slot = ModelSlot()
    trust = KeyTrust(bundles.trusted)
    installer = Installer(
        folder / "edge", trust, model_name="atoms", slot=slot, opener=HereOpener("cpu", choice)
    )
    installer.install(bundle, frame_shape=spots(0).shape)
    return slot


@pytest.mark.parametrize(
    ("asked", "serves"),
    [("auto", "onnxruntime"), ("openvino", "openvino"), ("torch", "onnxruntime")],
)
def test_the_named_back_end_serves_and_the_reference_where_it_cannot(
    asked: str, serves: str, bundle: Path, tmp_path: Path, bundles: BundleMaker
) -> None:
    if reason := backend_named("onnxruntime" if asked == "auto" else asked).unavailable():
        pytest.skip(reason)
    model = serving(BackendChoice(name=asked), bundle, tmp_path, bundles).model
    assert model is not None
    assert model.backend == serves
    said = model.answer(frame_of(spots(7), 1), received_s=time.perf_counter())
    assert said.header.backend == model.backend
    found = said.array("detections")
    assert sorted((round(y), round(x)) for y, x, *_ in found.tolist()) == [
        (y, x) for y in (8, 20, 32) for x in (6, 18, 30)
    ]
    model.close()


@pytest.mark.parametrize("threads", [1, 2])
def test_it_is_held_to_the_threads_of_the_settings(
    threads: int, bundle: Path, tmp_path: Path, bundles: BundleMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime

    asked: list[int] = []
    session = onnxruntime.InferenceSession

    def noting(content: bytes, options: object, **rest: object) -> object:
        asked.append(options.intra_op_num_threads)  # type: ignore[attr-defined]
        return session(content, options, **rest)

    monkeypatch.setattr(onnxruntime, "InferenceSession", noting)
    serving(BackendChoice(threads=threads), bundle, tmp_path, bundles)
    assert asked[-1] == threads


def test_tuning_tries_all_and_says_which_compute_no_such_graphs(
    bundle: Path, tmp_path: Path, bundles: BundleMaker
) -> None:
    (tmp_path / "keys.json").write_text(bundles.trusted.model_dump_json())
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{tmp_path}"\n[edge]\ntrusted_keys = "{tmp_path / "keys.json"}"\n')
    record = tune_here(
        load_settings(config),
        model=str(bundle),
        shapes=((40, 36),),
        pixel_size_m=None,
        threads=1,
        seconds=0.1,
        tell=lambda candidate: None,
    )
    refused = {each.name: each.refused for each in record.candidates}
    assert set(refused) == {backend.name for backend in BACKENDS}
    assert refused["onnxruntime"] is None
    assert "no graphs from elsewhere" in str(refused["torch"])
    assert record.chosen in {name for name, reason in refused.items() if reason is None}
    slot = serving(
        BackendChoice(records=tmp_path / "edge" / "tuning.json"), bundle, tmp_path / "site", bundles
    )
    assert slot.model is not None
    assert slot.model.backend == record.chosen
    assert np.isfinite(slot.model.answer(frame_of(spots(1), 1), received_s=0.0).header.drift_score)
