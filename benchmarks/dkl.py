"""How many measurements a search needs: deep kernel learning beside random choice. SIMULATED landscapes.

Gold particles on carbon, and the intensity of their dipole plasmon in electron energy loss (the model and
its source are in `eucentric_models.surrogate.simulate_plasmon_landscape`). A search ends when it has found
a point whose intensity is within 10 % of the largest in the image. Specimen, model and target were fixed
before the first search was run, and nothing was changed after it. Random choice is not simulated: the
median number of draws without replacement until the first of k such points among n is computed exactly.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import _harness as harness
import numpy as np
import torch

from eucentric_models.surrogate import (
    PatchGrid,
    SurrogateSpec,
    explore,
    patches_at,
    simulate_plasmon_landscape,
)
from eucentric_models.surrogate.process import DeepKernelProcess

_SHAPE, _STRIDE_PX = (128, 128), 3
_INITIAL = 8
_WITHIN = 0.9


def main() -> None:
    """Measure and report."""
    parser = harness.arguments(__doc__ or "")
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--acquisition", default="ei")
    given = parser.parse_args()
    torch.set_num_threads(1)
    seeds = 3 if given.quick else given.seeds
    started_s = time.monotonic()
    runs = [search(seed, given.acquisition) for seed in range(seeds)]
    ratios = [run["measurements"] / run["random_measurements"] for run in runs]
    figures = {
        "simulated": True,
        "acquisition": given.acquisition,
        "seeds": seeds,
        "measurements": [run["measurements"] for run in runs],
        "random_measurements": [run["random_measurements"] for run in runs],
        "found": sum(run["found"] for run in runs),
        "median_measurements": median(run["measurements"] for run in runs),
        "median_random_measurements": median(run["random_measurements"] for run in runs),
        "median_ratio_vs_random": median(ratios),
        "quartiles_of_ratio": np.percentile(ratios, [25, 75]).round(3).tolist(),
        "median_ratio_vs_random_of_first_10": median(ratios[:10]),
        "slower_than_random": sum(ratio > 1 for ratio in ratios),
        "seconds_per_search": (time.monotonic() - started_s) / seeds,
        "default_dtype_unchanged": torch.get_default_dtype() == torch.float32,
    }
    harness.report(figures, as_json=given.json, packages=["torch", "gpytorch"])


def search(seed: int, acquisition: str) -> dict[str, Any]:
    """One search on a landscape of its own."""
    rng = np.random.default_rng(seed)
    landscape = simulate_plasmon_landscape(_SHAPE, seed)
    spec = SurrogateSpec()
    grid = PatchGrid.of_image(_SHAPE, patch_px=spec.patch_px, stride_px=_STRIDE_PX)
    values = landscape.property[grid.positions_px[:, 0], grid.positions_px[:, 1]]
    target = _WITHIN * float(values.max())
    random_draws = random_median(len(values), int((values >= target).sum()))
    budget = min(len(values), max(2 * _INITIAL, 2 * random_draws))
    log = explore(
        DeepKernelProcess(spec, torch.Generator().manual_seed(seed)),
        patches_at(landscape.image, grid.positions_px, spec.patch_px),
        grid.positions_px,
        lambda index: float(values[index]),
        acquisition=acquisition,
        initial=_INITIAL,
        budget=budget,
        rng=rng,
        enough=lambda value: value >= target,
    )
    return {
        "measurements": len(log.records),
        "found": log.best >= target,
        "random_measurements": random_draws,
    }


def random_median(candidates: int, good: int) -> int:
    """Median number of draws without replacement until the first of `good` among `candidates`."""
    missing = 1.0
    for draw in range(candidates - good + 1):
        missing *= (candidates - good - draw) / (candidates - draw)
        if missing <= 0.5:
            return draw + 1
    return candidates - good + 1


if __name__ == "__main__":
    main()
