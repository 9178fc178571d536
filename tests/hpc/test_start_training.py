from __future__ import annotations

import numpy as np
import pytest
import torch

from eucentric_hpc import (
    DEMO_START_TRAINING,
    TrainingSet,
    evaluate_ensemble,
    simulated_start_data,
    start_training,
    train_member,
)
from eucentric_models import DEMO_CONDITIONS, ImagingConditions, conditions_for, simulate_frames
from eucentric_models.networks import Ensemble


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_the_recipe_of_the_demonstration_is_the_one_that_was_tuned() -> None:
    assert start_training(DEMO_CONDITIONS) == DEMO_START_TRAINING


def test_a_recipe_keeps_crops_and_peaks_in_proportion_to_the_network() -> None:
    coarse, fine = conditions_for(25e-12), conditions_for(7e-12)
    for conditions in (coarse, fine):
        recipe = start_training(conditions)
        assert recipe.crop_px == 24 * conditions.network.stem_factor
        assert recipe.crop_px % conditions.network.size_multiple == 0
        assert recipe.target_sigma_px == conditions.decoding.peak_sigma_px
        assert recipe.steps == conditions.start_steps
    assert start_training(fine).target_sigma_px > 3 * start_training(coarse).target_sigma_px


def test_what_is_learned_on_unknown_crystals_finds_the_columns_of_a_known_one() -> None:
    conditions = conditions_for(25e-12, (128, 128), start_frames=64)
    rng = np.random.default_rng(1)
    start = simulated_start_data(conditions, rng)
    recipe = start_training(conditions)
    truths = [truth for truth in start.truths if truth is not None]
    trained = train_member(start.frames, truths, conditions.network, recipe)

    sharp = ImagingConditions(
        pixel_size_m=25e-12, probe_sigma_m=40e-12, beam_current_a=100e-12, dwell_time_s=2e-5
    )
    recorded = simulate_frames("mos2", sharp, 4, (128, 128), rng)
    unnamed = [np.column_stack([frame.truth[:, :2], frame.truth[:, 2] == 3]) for frame in recorded]
    data = TrainingSet(
        tuple(frame.frame for frame in recorded),
        tuple(truth.astype(np.float32) for truth in unnamed),
        tuple(frame.conditions.pixel_size_m for frame in recorded),
    )
    ensemble = Ensemble(conditions.network, [trained.weights])
    metrics = evaluate_ensemble(ensemble, data, decoding=conditions.decoding)
    assert metrics["f1"] > 0.85
