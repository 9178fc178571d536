"""Poisoned training data are refused, or survived with a clear report; never a silent model of NaN."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import torch

from eucentric_hpc import (
    EnsembleRequest,
    EnsembleResult,
    MemberConfig,
    TrainingConfigError,
    TrainingDataError,
    TrainingDivergedError,
    TrainingError,
    TrainingSet,
    train_ensemble,
    train_member,
    write_training_set,
)
from eucentric_models import DEMO_CONDITIONS, InvalidFrameError, NetworkSpec, simulate_frames

SPEC = NetworkSpec(n_classes=3, base_filters=8, depth=1, stem_factor=4)
CLASSES = ("metal", "chalcogen", "dopant")
TINY = MemberConfig(steps=10, batch_size=2, crop_px=64)
LEARNS = MemberConfig(steps=110, batch_size=8, crop_px=64, learning_rate=1e-2)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


@pytest.fixture(scope="module")
def clean() -> TrainingSet:
    labelled = simulate_frames("mos2", DEMO_CONDITIONS.initial, 14, (128, 128), np.random.default_rng(0))
    return TrainingSet(
        tuple(frame.frame for frame in labelled),
        tuple(frame.truth for frame in labelled),
        tuple(frame.conditions.pixel_size_m for frame in labelled),
    )


def with_frame(data: TrainingSet, frame: np.ndarray) -> TrainingSet:
    return TrainingSet((frame, *data.frames[1:]), data.truths, data.pixel_sizes_m)


def with_truths(data: TrainingSet, change: Callable[[np.ndarray], np.ndarray]) -> TrainingSet:
    truths = tuple(None if truth is None else change(truth) for truth in data.truths)
    return TrainingSet(data.frames, truths, data.pixel_sizes_m)


def trained(
    executor: ThreadPoolExecutor, folder: Path, data: TrainingSet, member: MemberConfig = TINY
) -> EnsembleResult:
    write_training_set(folder / "start.npz", data)
    request = EnsembleRequest(
        work_dir=folder / "work",
        network=SPEC,
        member=member,
        members=1,
        smallest_ensemble=1,
        classes=CLASSES,
        start_data=folder / "start.npz",
    )
    return train_ensemble(executor, request)


def all_finite(result: EnsembleResult) -> bool:
    arrays = [a for path in result.weights for a in safetensors.numpy.load(path.read_bytes()).values()]
    return all(np.isfinite(array).all() for array in arrays)


class TestRefused:
    @pytest.mark.parametrize("poison", [np.nan, np.inf, -np.inf])
    def test_a_frame_that_is_not_finite(
        self, clean: TrainingSet, poison: float, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        frame = clean.frames[0].astype(np.float32)
        frame[7, 9] = poison
        with pytest.raises(TrainingDataError, match="Frame 0 of the start data holds NaN"):
            trained(threads, tmp_path, with_frame(clean, frame))
        assert not list((tmp_path / "work").glob("*.safetensors"))

    def test_such_a_frame_is_no_way_around_the_ensemble_either(self, clean: TrainingSet) -> None:
        frame = clean.frames[0].astype(np.float32)
        frame[7, 9] = np.nan
        truths = [truth for truth in clean.truths[:1] if truth is not None]
        with pytest.raises(InvalidFrameError, match="NaN"):
            train_member([frame], truths, SPEC, TINY)

    @pytest.mark.parametrize("frame", [np.zeros((3, 128, 128)), np.zeros(128), np.zeros((128, 128), complex)])
    def test_frames_of_a_wrong_shape_or_kind(self, clean: TrainingSet, frame: np.ndarray) -> None:
        with pytest.raises(TrainingDataError, match="frame 0"):
            with_frame(clean, frame)

    def test_truth_of_a_wrong_shape_or_with_nan(self, clean: TrainingSet) -> None:
        with pytest.raises(TrainingDataError, match="truth of frame 0"):
            with_truths(clean, lambda truth: truth[:, :2])
        with pytest.raises(TrainingDataError, match="truth of frame 0"):
            with_truths(clean, lambda truth: np.full_like(truth, np.nan))

    def test_a_frame_smaller_than_a_crop(
        self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        small = TrainingSet(
            tuple(frame[:40, :40] for frame in clean.frames), clean.truths, clean.pixel_sizes_m
        )
        with pytest.raises(TrainingDivergedError, match="smallest frame side is 40 px"):
            trained(threads, tmp_path, small)

    def test_no_frame_at_all(self, tmp_path: Path, threads: ThreadPoolExecutor) -> None:
        with pytest.raises(TrainingConfigError, match="too few"):
            trained(threads, tmp_path, TrainingSet((), (), ()))

    def test_frames_without_a_single_column(
        self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        with pytest.raises(TrainingError, match="no frame has a single labelled column"):
            trained(threads, tmp_path, with_truths(clean, lambda truth: truth[:0]))


class TestSurvived:
    def test_a_hot_pixel_beyond_all_measure(
        self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        frame = clean.frames[0].astype(np.float32)
        frame[7, 9] = 3e38
        result = trained(threads, tmp_path, with_frame(clean, frame))
        assert all_finite(result)
        assert np.isfinite(list(result.metrics.values())).all()

    def test_a_constant_frame(self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor) -> None:
        assert all_finite(trained(threads, tmp_path, with_frame(clean, np.zeros((128, 128)))))

    def test_one_class_only_and_it_says_which_it_does_not_know(
        self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        result = trained(threads, tmp_path, with_truths(clean, lambda truth: truth[truth[:, 2] == 0]))
        assert all_finite(result)
        assert any("No training frame shows chalcogen, dopant" in warning for warning in result.warnings)

    def test_a_tenth_of_the_labels_wrong_and_it_says_so(
        self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        rng = np.random.default_rng(3)

        def mislabelled(truth: np.ndarray) -> np.ndarray:
            wrong = truth.copy()
            hit = (rng.random(len(truth)) < 0.1) & (truth[:, 2] < 2)
            wrong[hit, 2] = 1 - wrong[hit, 2]
            return wrong

        result = trained(threads, tmp_path, with_truths(clean, mislabelled), LEARNS)
        assert all_finite(result)
        assert 0.75 < result.metrics["label_agreement"] < 0.95
        assert any("contradicts" in warning for warning in result.warnings)

    def test_nothing_is_said_about_good_labels(
        self, clean: TrainingSet, tmp_path: Path, threads: ThreadPoolExecutor
    ) -> None:
        result = trained(threads, tmp_path, clean, LEARNS)
        assert result.metrics["label_agreement"] > 0.95
        assert result.warnings == ()
