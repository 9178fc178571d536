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
}
