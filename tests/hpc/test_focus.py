"""Columns that a champion misses are looked at harder when it is retrained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eucentric_hpc import (
    DEFAULT_JUDGING,
    AssembledData,
    CropSampler,
    EnsembleRequest,
    MemberConfig,
    TrainingSet,
    assemble_task,
    missed_rows,
    read_training_set,
    train_member,
    with_focus,
    write_training_set,
)
from eucentric_models import Decoding, Detections, NetworkSpec
from eucentric_models.networks import Ensemble

SPEC = NetworkSpec(n_classes=2, base_filters=8, depth=1, stem_factor=4)
RECIPE = MemberConfig(steps=60, batch_size=4, crop_px=64, learning_rate=1e-2)
DECODING = Decoding(threshold=0.4)
PIXEL_SIZE_M = 12e-12
STEPS = 15


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def frames(count: int, seed: int) -> TrainingSet:
    """Bright columns of class 0 and, one in thirty, faint ones of class 1."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    images, truths = [], []
    for _ in range(count):
        grid = np.stack(np.meshgrid(np.arange(8, 96, 16), np.arange(8, 96, 16)), -1).reshape(-1, 2)
        places = grid + rng.uniform(-2, 2, grid.shape)
        class_id = (rng.random(len(places)) < 1 / 60).astype(int)
        class_id[14] = 1
        image = np.full((96, 96), 20.0)
        for (row, column), one in zip(places, class_id, strict=True):
            image += (100, 45)[one] * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)
        images.append(rng.poisson(image).astype(np.float32))
        truths.append(np.column_stack([places, class_id]).astype(np.float32))
    return TrainingSet(tuple(images), tuple(truths), (PIXEL_SIZE_M,) * count)


class TestMissedRows:
    FOUND = Detections(
        np.array([[10, 10], [30, 30.5]], np.float32), np.array([0, 1], np.int8), np.ones(2, np.float32)
    )

    def test_a_column_is_found_by_a_detection_of_its_class_within_reach(self) -> None:
        truth = np.array([[10, 11, 0], [30, 30, 0], [30, 30, 1], [60, 60, 1], [60, 60, 2]])
        assert missed_rows(self.FOUND, truth, 2, 2.0).tolist() == [False, True, False, True, False]

    def test_everything_is_missed_where_nothing_was_found(self) -> None:
        none = Detections(np.empty((0, 2), np.float32), np.empty(0, np.int8), np.empty(0, np.float32))
        assert missed_rows(none, np.array([[1, 1, 0], [2, 2, 1]]), 2, 5.0).all()
        assert missed_rows(self.FOUND, np.empty((0, 3)), 2, 5.0).shape == (0,)


def test_the_loss_weighs_the_surroundings_of_a_heavy_column_and_no_others() -> None:
    config = MemberConfig(steps=1, swa_fraction=0, batch_size=1, crop_px=64)
    config = config.model_copy(
        update={"augmentation": config.augmentation.model_copy(update={"zoom": 0.0, "symmetry": False})}
    )
    truth = np.array([[20, 20, 0, 1], [40, 44, 1, 5], [52, 12, 2, 1]], float)
    sampler = CropSampler([np.zeros((64, 64), np.float32)], [truth], 2, config, np.random.default_rng(0))
    weights = sampler.batch()[2][0, 0]
    assert weights[40, 44] == pytest.approx(5)
    assert weights[20, 20] == 1
    assert weights[52, 12] == 0, "a class that cannot be detected is left out all the same"


def test_a_set_with_weights_is_written_read_and_rescaled(tmp_path: Path) -> None:
    truth = np.array([[1.0, 2.0, 0, 3.0]], np.float32)
    data = TrainingSet((np.zeros((8, 8), np.float32),), (truth,), (PIXEL_SIZE_M,))
    write_training_set(tmp_path / "set.npz", data)
    back = read_training_set(tmp_path / "set.npz").truths[0]
    np.testing.assert_array_equal(back, truth)


@pytest.fixture(scope="module")
def champion() -> bytes:
    """Knows class 0, and has seen too little of class 1."""
    start = frames(10, 1)
    return train_member(start.frames, labels(start), SPEC, RECIPE).weights


def labels(data: TrainingSet) -> list[np.ndarray]:
    return [truth for truth in data.truths if truth is not None]


def found_of_class_1(weights: bytes, data: TrainingSet) -> float:
    """Share of the columns of class 1 that are found, the border included."""
    ensemble = Ensemble(SPEC, [weights])
    missed = [
        missed_rows(ensemble.infer(frame).detections(DECODING), truth[truth[:, 2] == 1], 2, 5.0)
        for frame, truth in zip(data.frames, labels(data), strict=True)
    ]
    return float(1 - np.concatenate(missed).mean())


def test_columns_that_the_champion_misses_are_given_their_weight(tmp_path: Path, champion: bytes) -> None:
    (tmp_path / "champion.safetensors").write_bytes(champion)
    write_training_set(tmp_path / "new.npz", frames(10, 2))
    request = EnsembleRequest(
        work_dir=tmp_path,
        network=SPEC,
        member=RECIPE,
        new_data=tmp_path / "new.npz",
        champion=(tmp_path / "champion.safetensors",),
        decoding=DECODING,
        missed_weight=10,
    )
    assembled = AssembledData.model_validate(assemble_task(request.model_dump(mode="json")))
    rows = np.concatenate(labels(read_training_set(assembled.train)))
    assert (rows[rows[:, 2] == 1, 3] == 10).all()
    assert (rows[rows[:, 2] == 0, 3] == 1).mean() > 0.9
    plain = request.model_copy(update={"missed_weight": 1.0})
    assembled = AssembledData.model_validate(assemble_task(plain.model_dump(mode="json")))
    assert labels(read_training_set(assembled.train))[0].shape[1] == 3


def test_a_class_that_the_champion_misses_is_found_sooner_when_it_weighs_more(champion: bytes) -> None:
    new, judged = frames(10, 2), frames(6, 3)
    assert found_of_class_1(champion, judged) < 0.2
    focused = with_focus(new, Ensemble(SPEC, [champion]), DECODING, DEFAULT_JUDGING, 10.0)
    found = {}
    for name, data in (("alike", new), ("focused", focused)):
        found[name] = [
            found_of_class_1(
                train_member(
                    data.frames,
                    labels(data),
                    SPEC,
                    RECIPE.model_copy(update={"steps": STEPS, "seed": seed}),
                    initial_weights=champion,
                ).weights,
                judged,
            )
            for seed in range(4)
        ]
    assert np.mean(found["focused"]) > np.mean(found["alike"]) + 0.3
