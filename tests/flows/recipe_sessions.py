"""For every recipe that a policy may name: a session to learn from, and the action that does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from eucentric_flows.policy import ArraysInput, RetrainAction
from eucentric_models.spectra import ReductionRecipe, edge_spectrum, simulate_reduction
from eucentric_models.surrogate import simulate_landscape

from ..hpc.fewshot_case import CHIP_PX, two_textures

Acquisitions = list[Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class RecipeSession:
    """A recipe with its smallest training.

    Attributes:
        action: of the policy.
        acquisitions: arrays by stream.
        engine: that the model is for.
        merit: the figure that decides.
        provide: puts what people provide into the model's folder.
    """

    action: RetrainAction
    acquisitions: Callable[[], Acquisitions]
    engine: str
    merit: str
    provide: Callable[[Path], None] = lambda _folder: None


def _spectra() -> Acquisitions:
    rng, energy_ev = np.random.default_rng(2), 440.0 + 2.0 * np.arange(60)
    recipe = ReductionRecipe(times=24, mean_counts=(50_000.0, 60_000.0))
    series = (simulate_reduction(edge_spectrum(energy_ev), energy_ev, recipe, rng)[1] for _ in range(8))
    return [{"eels": spectrum} for one in series for spectrum in one]


def _measurements() -> Acquisitions:
    rng = np.random.default_rng(3)
    landscape = simulate_landscape((64, 64), rng, discs=6)
    brightness = landscape.image.astype(np.float64)
    acquisitions: Acquisitions = []
    for _ in range(8):
        places = rng.integers(8, 56, (20, 2))
        # A property that is plain to see, so that so short a training learns it.
        values = [brightness[y - 2 : y + 3, x - 2 : x + 3].mean() for y, x in places]
        acquisitions.append({"haadf": landscape.image, "measured": np.column_stack([places, values])})
    return acquisitions


def _textures() -> Acquisitions:
    return [{"haadf": two_textures()} for _ in range(8)]


def _named_chips(folder: Path) -> None:
    """Four chips of each texture to learn from, four to judge by."""
    image = two_textures(rows=8)
    for name, column in (("fringes", 0), ("film", 2)):
        for row in range(8):
            place = folder / ("support" if row < 4 else "support-holdout") / name
            place.mkdir(parents=True, exist_ok=True)
            top, left = row * CHIP_PX, (column + row % 2) * CHIP_PX
            chip = image[top : top + CHIP_PX, left : left + CHIP_PX]
            Image.fromarray(chip).save(place / f"{row}.png")


def _images() -> Acquisitions:
    return [{"camera": np.full((4, 5), float(index), np.float32)} for index in range(8)]


SESSIONS: dict[str, RecipeSession] = {
    "forecast": RecipeSession(
        action=RetrainAction(
            recipe="forecast",
            frames=192,
            gather_timeout_s=1,
            parameters={"components": 3, "history": 4, "horizon": 2, "hidden": 8, "members": 2, "steps": 100},
        ),
        acquisitions=_spectra,
        engine="spectra",
        merit="rmse_ratio_vs_persistence",
    ),
    "surrogate": RecipeSession(
        action=RetrainAction(
            recipe="surrogate",
            frames=8,
            gather_timeout_s=1,
            parameters={"property_name": "brightness", "patch_px": 9, "hidden": 16, "steps": 40},
        ),
        acquisitions=_measurements,
        engine="surrogate",
        merit="rmse_over_spread",
    ),
    "few-shot": RecipeSession(
        action=RetrainAction(
            recipe="few-shot", frames=8, gather_timeout_s=1, parameters={"encoder": "textures+handmade"}
        ),
        acquisitions=_textures,
        engine="chips",
        merit="agreement",
        provide=_named_chips,
    ),
    # Somebody else's, in a package of its own (tests/hpc/third_party).
    "template": RecipeSession(
        action=RetrainAction(
            recipe="template",
            frames=8,
            gather_timeout_s=1,
            parameters={"weight": 2.0},
            inputs={"images": ArraysInput(stream="camera")},
        ),
        acquisitions=_images,
        engine="template",
        merit="distance",
    ),
}
