"""The model of columns that comes with the package."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from eucentric_models import (
    DEMO_CONDITIONS,
    Detections,
    ImagingConditions,
    score_frame,
    simulate_frames,
)
from eucentric_models.engines import EngineModel, engine_named, read_description, shipped_folder

FOLDER = "columns"


@pytest.fixture(scope="module")
def model() -> EngineModel:
    torch.set_num_threads(1)
    folder = shipped_folder(FOLDER)
    return engine_named("atoms").open(folder, read_description(folder))


def test_its_weights_are_those_that_its_card_says_were_trained() -> None:
    folder = shipped_folder(FOLDER)
    made_by = read_description(folder).parameters["made_by"]
    assert isinstance(made_by, dict)
    hashes = made_by["weights_sha256"]
    assert isinstance(hashes, dict)
    assert len(hashes) == 2
    for name, sha256 in hashes.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sha256
    assert sum((folder / name).stat().st_size for name in hashes) < 1.5e6


@pytest.mark.parametrize("material", ["graphene", "mos2", "srtio3"])
@pytest.mark.parametrize("pixel_size_m", [7e-12, 14e-12, 28e-12])
def test_it_finds_columns_of_crystals_that_it_was_not_told_at_any_magnification(
    model: EngineModel, material: str, pixel_size_m: float
) -> None:
    side_px = round(3.5e-9 / pixel_size_m)
    conditions = ImagingConditions(
        **{
            **DEMO_CONDITIONS.initial.model_dump(),
            "pixel_size_m": pixel_size_m,
            "beam_current_a": 200e-12,
            "dwell_time_s": 20e-6 * (pixel_size_m / 12e-12) ** 2,
            "output": "float32",
        }
    )
    made = simulate_frames(material, conditions, 1, (side_px, side_px), np.random.default_rng(1))[0]
    result = model.apply(made.frame, pixel_size_m=pixel_size_m)
    table = result.columns(pixel_size_m)
    positions = np.stack([np.asarray(table["y_px"]), np.asarray(table["x_px"])], axis=1).astype(np.float32)
    found = Detections(positions, np.zeros(len(positions), np.int8), np.ones(len(positions), np.float32))
    truth = made.truth.copy()
    n_visible = {"graphene": 2, "mos2": 3, "srtio3": 2}[material]
    truth[:, 2] = np.where(truth[:, 2] < n_visible, 0, 1)
    score = score_frame(found, truth, n_classes=1, pixel_size_m=pixel_size_m, shape=(side_px, side_px))
    assert score.f1 > 0.95


def test_without_a_calibration_it_says_what_it_guessed(model: EngineModel) -> None:
    conditions = DEMO_CONDITIONS.initial.model_copy(update={"beam_current_a": 2e-10})
    frame = simulate_frames("mos2", conditions, 1, (256, 256), np.random.default_rng(1))[0].frame
    result = model.apply(frame, pixel_size_m=None)
    assert any("was guessed from the lattice" in sentence for sentence in result.unsure)
    assert len(next(iter(result.columns(None).values()))) > 100
