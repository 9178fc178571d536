"""For every recipe: the smallest training of it, and data that it must refuse.

A recipe that is installed and has no case here fails `test_recipes.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eucentric_hpc import TrainingSet, write_training_set
from eucentric_hpc.recipes import RecipeData
from eucentric_models import DEMO_CONDITIONS, simulate_frames
from eucentric_models.spectra import ReductionRecipe, edge_spectrum, simulate_reduction
from eucentric_models.surrogate import simulate_landscape

from .fewshot_case import constant, few_shot_data, no_picture, not_finite, one_chip, one_class, tiny


@dataclass(frozen=True)
class RecipeCase:
    """How a recipe is tried.

    Attributes:
        data: makes good data in a folder.
        parameters: of the smallest training.
        poisons: makes data that must be refused, by what is wrong with them.
    """

    data: Callable[[Path], RecipeData]
    parameters: Mapping[str, Any]
    poisons: Mapping[str, Callable[[Path], RecipeData]] = field(default_factory=dict)


def _frames(change: Callable[[TrainingSet], TrainingSet] = lambda data: data) -> Callable[[Path], RecipeData]:
    def make(folder: Path) -> RecipeData:
        labelled = simulate_frames("mos2", DEMO_CONDITIONS.initial, 10, (64, 64), np.random.default_rng(1))
        data = TrainingSet(
            tuple(frame.frame for frame in labelled),
            tuple(frame.truth for frame in labelled),
            tuple(frame.conditions.pixel_size_m for frame in labelled),
        )
        write_training_set(folder / "start.npz", change(data))
        return RecipeData(files={"start": (folder / "start.npz",)})

    return make


def _with_nan(data: TrainingSet) -> TrainingSet:
    spoiled = data.frames[3].astype(np.float32)
    spoiled[5, 5] = np.nan
    return TrainingSet((*data.frames[:3], spoiled, *data.frames[4:]), data.truths, data.pixel_sizes_m)


def _negative_class(data: TrainingSet) -> TrainingSet:
    first = data.truths[0]
    assert first is not None
    changed = first.copy()
    changed[0, 2] = -1
    return TrainingSet(data.frames, (changed, *data.truths[1:]), data.pixel_sizes_m)


def _series(
    change: Callable[[np.ndarray], np.ndarray] = lambda series: series,
) -> Callable[[Path], RecipeData]:
    def make(folder: Path) -> RecipeData:
        rng, energy_ev = np.random.default_rng(2), 440.0 + 2.0 * np.arange(60)
        recipe = ReductionRecipe(times=20)
        paths = []
        for index in range(6):
            counted = simulate_reduction(edge_spectrum(energy_ev), energy_ev, recipe, rng)[1]
            paths.append(folder / f"series-{index}.npy")
            np.save(paths[-1], change(counted) if index == 3 else counted, allow_pickle=False)
        return RecipeData(files={"series": tuple(paths)})

    return make


def _spoiled(series: np.ndarray) -> np.ndarray:
    spoiled = series.copy()
    spoiled[4, 5] = np.inf
    return spoiled


def _too_few_series(folder: Path) -> RecipeData:
    return RecipeData(files={"series": _series()(folder).many("series")[:3]})


def _measured(change: Callable[[np.ndarray], np.ndarray] = lambda rows: rows) -> Callable[[Path], RecipeData]:
    def make(folder: Path) -> RecipeData:
        rng = np.random.default_rng(3)
        landscape = simulate_landscape((48, 48), rng, discs=6)
        places = rng.integers(8, 40, (24, 2))
        rows = np.column_stack([places, landscape.property[places[:, 0], places[:, 1]]])
        np.save(folder / "image.npy", landscape.image, allow_pickle=False)
        np.save(folder / "measured.npy", change(rows), allow_pickle=False)
        return RecipeData(files={"image": (folder / "image.npy",), "measured": (folder / "measured.npy",)})

    return make


def _constant(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows[:, :2], np.full(len(rows), 0.5)])


CASES: dict[str, RecipeCase] = {
    "elit": RecipeCase(
        data=_frames(),
        parameters={
            "network": {"n_classes": 3, "base_filters": 4, "depth": 1, "stem_factor": 4},
            "member": {"steps": 10, "batch_size": 2, "crop_px": 64},
            "members": 2,
            "seed": 3,
        },
        poisons={
            "NaN": _frames(_with_nan),
            "no frame": _frames(lambda data: data.subset([])),
            "no truth": _frames(
                lambda data: TrainingSet(data.frames, (None,) * len(data), data.pixel_sizes_m)
            ),
            "a class below 0": _frames(_negative_class),
            "frames smaller than a crop": _frames(
                lambda data: TrainingSet(
                    tuple(frame[:40, :40] for frame in data.frames), data.truths, data.pixel_sizes_m
                )
            ),
            "no input at all": lambda _folder: RecipeData(files={}),
        },
    ),
    "few-shot": RecipeCase(
        data=few_shot_data(),
        parameters={"encoder": "textures+handmade"},
        poisons={
            "a constant chip": few_shot_data(constant),
            "NaN": few_shot_data(not_finite),
            "tiny chips": few_shot_data(tiny),
            "one class": few_shot_data(one_class),
            "one chip of a class": few_shot_data(one_chip),
            "no picture": few_shot_data(no_picture),
            "no input at all": lambda _folder: RecipeData(files={}),
        },
    ),
    "forecast": RecipeCase(
        data=_series(),
        parameters={"components": 3, "history": 4, "horizon": 2, "hidden": 8, "members": 2, "steps": 20},
        poisons={
            "infinity": _series(_spoiled),
            "one dimension": _series(lambda series: series[0]),
            "other channels": _series(lambda series: series[:, :50]),
            "too short": _series(lambda series: series[:5]),
            "no counts": _series(np.zeros_like),
            "too few series": _too_few_series,
            "no input at all": lambda _folder: RecipeData(files={}),
        },
    ),
    "surrogate": RecipeCase(
        data=_measured(),
        parameters={"property_name": "plasmon_ev", "patch_px": 9, "hidden": 8, "steps": 20},
        poisons={
            "NaN": _measured(lambda rows: rows * np.array([1, 1, np.nan])),
            "one value only": _measured(_constant),
            "too few": _measured(lambda rows: rows[:5]),
            "two columns": _measured(lambda rows: rows[:, :2]),
            "outside of the image": _measured(lambda rows: rows + np.array([30, 0, 0])),
            "no input at all": lambda _folder: RecipeData(files={}),
        },
    ),
}
