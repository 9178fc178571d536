"""What a recipe decides about decoding on held-out frames: the threshold, and how noisy positions are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from eucentric_core import sha256_file
from eucentric_hpc import (
    AssembledData,
    EnsembleRequest,
    MemberConfig,
    TrainingSet,
    evaluate_ensemble,
    finish_task,
    train_member,
    with_best_threshold,
    with_lattice_prior,
    write_training_set,
)
from eucentric_models import Decoding, NetworkSpec
from eucentric_models.networks import Ensemble

SPEC = NetworkSpec(n_classes=1, base_filters=8, depth=1, stem_factor=4)
RECIPE = MemberConfig(steps=40, batch_size=4, crop_px=64, learning_rate=1e-2)
PIXEL_SIZE_M = 12e-12


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def frames(count: int, seed: int) -> TrainingSet:
    """A square lattice under noise of various strength, and blobs that are no columns."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:128, :128]
    images, truths = [], []
    for _ in range(count):
        angle = rng.uniform(0, 1)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        steps = np.arange(-10, 11) * 15.3
        places = np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2) @ turn + rng.uniform(56, 72, 2)
        places = places[np.all((places > -4) & (places < 132), axis=1)]
        image = np.full((128, 128), 0.2)
        for row, column in places:
            image += np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)
        for row, column in places[rng.random(len(places)) < 0.1] + 8.0:
            image += 0.35 * np.exp(-((y - row) ** 2 + (x - column) ** 2) / 18)
        images.append(rng.poisson(image * rng.uniform(3, 30)).astype(np.float32))
        truths.append(np.column_stack([places, np.zeros(len(places))]).astype(np.float32))
    return TrainingSet(tuple(images), tuple(truths), (PIXEL_SIZE_M,) * count)


def labels(data: TrainingSet) -> list[np.ndarray]:
    return [truth for truth in data.truths if truth is not None]


@pytest.fixture(scope="module")
def weights() -> bytes:
    data = frames(10, 1)
    return train_member(data.frames, labels(data), SPEC, RECIPE).weights


def test_no_threshold_is_better_on_the_frames_it_was_chosen_by(weights: bytes) -> None:
    ensemble, data = Ensemble(SPEC, [weights]), frames(8, 2)
    chosen = with_best_threshold(ensemble, data, decoding=Decoding(threshold=0.2))
    f1 = {
        threshold: evaluate_ensemble(ensemble, data, decoding=Decoding(threshold=threshold))["f1"]
        for threshold in (0.2, 0.35, 0.5, 0.65, 0.8, chosen.threshold)
    }
    assert f1[chosen.threshold] >= max(f1.values()) - 0.005
    assert f1[chosen.threshold] > min(f1.values())


def test_without_a_column_to_find_the_threshold_stays(weights: bytes) -> None:
    data = frames(3, 2)
    bare = TrainingSet(data.frames, tuple(truth[:0] for truth in labels(data)), data.pixel_sizes_m)
    decoding = Decoding(threshold=0.42)
    assert with_best_threshold(Ensemble(SPEC, [weights]), bare, decoding=decoding) == decoding


def test_a_prior_halves_the_error_on_a_lattice(weights: bytes) -> None:
    ensemble, decoding = Ensemble(SPEC, [weights]), Decoding(threshold=0.5)
    learned = with_lattice_prior(ensemble, frames(10, 3), decoding=decoding)
    assert learned.lattice_prior is not None
    judged = frames(6, 4)
    plain = evaluate_ensemble(ensemble, judged, decoding=decoding)
    settled = evaluate_ensemble(ensemble, judged, decoding=learned)
    assert settled["position_rmse_m"] < 0.7 * plain["position_rmse_m"]
    assert settled["f1"] >= plain["f1"] - 0.01


def test_the_recipe_makes_both_choices_when_it_is_asked_to(tmp_path: Path, weights: bytes) -> None:
    paths = {name: tmp_path / f"{name}.npz" for name in ("train", "validation")}
    for seed, path in enumerate(paths.values(), start=5):
        write_training_set(path, frames(8, seed))
    (tmp_path / "member.safetensors").write_bytes(weights)
    assembled = AssembledData(
        train=paths["train"],
        train_sha256=sha256_file(paths["train"]),
        validation=paths["validation"],
        validation_sha256=sha256_file(paths["validation"]),
        train_frames=8,
        validation_frames=8,
        pseudo_labelled_frames=0,
        unused_frames=0,
        reference_frames=8,
    )
    given = Decoding(threshold=0.11)
    request = EnsembleRequest(
        work_dir=tmp_path, network=SPEC, member=RECIPE, start_data=paths["train"], decoding=given
    )

    def decided(request: EnsembleRequest) -> Decoding:
        said = finish_task(
            request.model_dump(mode="json"),
            assembled.model_dump(mode="json"),
            [str(tmp_path / "member.safetensors")],
        )
        return Decoding.model_validate(said["decoding"])

    plain = decided(request)
    assert (plain.threshold, plain.lattice_prior) == (0.11, None)
    both = decided(request.model_copy(update={"choose_threshold": True, "lattice_prior": True}))
    assert both.threshold > 0.11
    assert both.lattice_prior is not None
