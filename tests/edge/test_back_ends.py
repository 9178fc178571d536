"""Which back end serves: measured, held to the golden test, kept; the reference serves where it fails."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from eucentric_core import ConfigurationError, EucentricError, load_settings
from eucentric_edge import HereOpener, Installer, KeyTrust, ModelSlot
from eucentric_edge._backend_choice import (
    BackendChoice,
    Candidate,
    TuningRecord,
    TuningRecords,
    fastest,
    machine_name,
)
from eucentric_edge._cli import app
from eucentric_edge._tune_command import line_of, parse_shapes, tune_here
from eucentric_models.backends import backend_named

from .bundle_maker import SHAPE, BundleMaker, frame_of, image


def record(chosen: str, **changes: object) -> TuningRecord:
    facts: dict[str, object] = {
        "machine": machine_name(),
        "threads": 1,
        "bundle_sha256": "a" * 64,
        "network": "n",
        "members": 2,
        "shapes": (SHAPE,),
        "candidates": (Candidate(name=chosen, p50_ms=1.0),),
        "chosen": chosen,
    }
    return TuningRecord.model_validate(facts | changes)


def best(records: TuningRecords, **changes: object) -> str | None:
    asked: dict[str, object] = {
        "machine": machine_name(),
        "threads": 1,
        "bundle_sha256": "a" * 64,
        "network": "n",
        "members": 2,
    }
    return records.best_for(**(asked | changes))  # type: ignore[arg-type]


class TestDecision:
    def test_the_fastest_that_nothing_speaks_against_is_chosen(self) -> None:
        candidates = (
            Candidate(name="quick", p50_ms=1.0, refused="3 off on a golden chip"),
            Candidate(name="slow", p50_ms=9.0),
            Candidate(name="good", p50_ms=3.0),
            Candidate(name="absent", refused="not installed"),
        )
        chosen = fastest(candidates)
        assert chosen is not None
        assert chosen.name == "good"
        assert fastest(candidates[:1]) is None
        assert "not used: 3 off" in line_of(candidates[0])
        assert "untested" not in line_of(candidates[0])
        for name in ("cuda", "tensorrt-fp16"):
            assert "untested" in line_of(
                Candidate(name=name, p50_ms=1.0, p99_ms=1.0, compile_s=1.0, golden_error=0.0)
            )

    def test_a_record_counts_for_its_bundle_then_for_its_architecture_and_nowhere_else(self) -> None:
        records = (
            TuningRecords()
            .including(record("torch"))
            .including(record("onnxruntime", bundle_sha256="b" * 64))
        )
        assert best(records) == "torch"
        assert best(records, bundle_sha256="c" * 64) == "onnxruntime"
        for other in ({"machine": "another"}, {"threads": 2}):
            assert best(records, **other) is None
        assert best(records, bundle_sha256="c" * 64, members=5) is None

    def test_records_replace_each_other_and_are_bounded(self) -> None:
        records = TuningRecords().including(record("torch")).including(record("openvino"))
        assert [each.chosen for each in records.records] == ["openvino"]
        for index in range(80):
            records = records.including(record("torch", bundle_sha256=f"{index:064d}"))
        assert len(records.records) == 64

    def test_damaged_records_are_said(self, tmp_path: Path) -> None:
        path = tmp_path / "tuning.json"
        assert TuningRecords.read(path) == TuningRecords()
        path.write_text("{")
        with pytest.raises(ConfigurationError, match="damaged"):
            TuningRecords.read(path)

    @pytest.mark.parametrize("text", ["", "512x", "ax2", "1x2x3", "0", "512x-1", ",".join(["64"] * 9)])
    def test_frame_sizes_that_are_none_are_refused(self, text: str) -> None:
        with pytest.raises(EucentricError):
            parse_shapes(text)

    def test_frame_sizes(self) -> None:
        assert parse_shapes("512, 256x128") == ((512, 512), (256, 128))


@dataclass
class _Told:
    names: list[str]

    def __call__(self, candidate: Candidate) -> None:
        self.names.append(candidate.name)


def installer_with(choice: BackendChoice, folder: Path, bundles: BundleMaker) -> tuple[Installer, ModelSlot]:
    slot = ModelSlot()
    trust = KeyTrust(bundles.trusted)
    return Installer(folder, trust, model_name="atoms", slot=slot, opener=HereOpener("cpu", choice)), slot


def test_what_was_tuned_here_serves_from_the_next_installation_on(
    bundles: BundleMaker, tmp_path: Path
) -> None:
    if reason := backend_named("onnxruntime").unavailable():
        pytest.skip(reason)
    few = tuple(backend_named(name) for name in ("torch", "onnxruntime", "cuda"))
    home = tmp_path / "home"
    (tmp_path / "keys.json").write_text(bundles.trusted.model_dump_json())
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{home}"\n[edge]\ntrusted_keys = "{tmp_path / "keys.json"}"\n')
    told = _Told([])
    found = tune_here(
        load_settings(config),
        model=str(bundles.make(1)),
        shapes=(SHAPE,),
        pixel_size_m=None,
        threads=1,
        seconds=0.1,
        tell=told,
        backends=few,
    )
    assert told.names == ["torch", "onnxruntime", "cuda"]
    assert found.chosen in {"torch", "onnxruntime"}

    records = home / "edge" / "tuning.json"
    installer, slot = installer_with(BackendChoice(records=records), tmp_path / "edge", bundles)
    for version in (1, 2):
        installer.install(bundles.make(version), frame_shape=SHAPE)
        assert slot.model is not None
        assert slot.model.backend == found.chosen


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "openvino-bf16", "torch-bf16"])
def test_a_back_end_that_the_settings_name_answers_as_the_reference(
    name: str, bundles: BundleMaker, tmp_path: Path
) -> None:
    backend = backend_named(name)
    if reason := backend.unavailable():
        pytest.skip(reason)
    installer, slot = installer_with(BackendChoice(name=name), tmp_path / "edge", bundles)
    installer.install(bundles.make(1), frame_shape=SHAPE)
    assert slot.model is not None
    assert slot.model.backend == name
    said = slot.model.answer(frame_of(image(77), 0), received_s=time.perf_counter())
    assert said.header.backend == name
    assert {"waiting", "preprocessing", "network", "decoding"} <= set(said.header.stages_s)
    expected = bundles.ensemble(1).infer(image(77)).deviation
    uncertainty = said.array("uncertainty").astype(np.float32)
    np.testing.assert_allclose(uncertainty, expected, rtol=0, atol=backend.tolerance)


@pytest.mark.parametrize("name", ["cuda", "abacus"])
def test_a_back_end_that_is_not_there_leaves_the_reference_serving(
    name: str, bundles: BundleMaker, tmp_path: Path
) -> None:
    if name == "cuda" and backend_named(name).unavailable() is None:
        pytest.skip("this machine has a GPU")
    installer, slot = installer_with(BackendChoice(name=name), tmp_path / "edge", bundles)
    installer.install(bundles.make(1), frame_shape=None)
    assert slot.model is not None
    assert slot.model.backend == "torch"


def test_frames_answered_together_are_answered_as_if_alone(bundles: BundleMaker, tmp_path: Path) -> None:
    installer, slot = installer_with(BackendChoice(batch=4), tmp_path / "edge", bundles)
    installer.install(bundles.make(1), frame_shape=None)
    assert slot.model is not None
    frames = [frame_of(image(seed), seed) for seed in range(6)]
    frames[2] = frame_of(image(2)[:40], 2)
    together = slot.model.answer_all(frames, received_s=[time.perf_counter()] * 6)
    for frame, answer in zip(frames, together, strict=True):
        alone = slot.model.answer(frame, received_s=time.perf_counter())
        assert answer.header.sequence == frame.header.sequence
        ours, theirs = (each.array("uncertainty").astype(np.float32) for each in (answer, alone))
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-3)
        assert len(answer.array("detections")) == len(alone.array("detections"))


def test_without_a_model_there_is_nothing_to_tune(tmp_path: Path) -> None:
    config = tmp_path / "eucentric.toml"
    config.write_text(f'home = "{tmp_path}"\n')
    outcome = CliRunner().invoke(app, ["tune", "--config", str(config)])
    assert outcome.exit_code == 2
    assert "No model is installed" in outcome.output
