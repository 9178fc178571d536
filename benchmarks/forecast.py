"""Forecasting spectra of a titanate that loses oxygen, beside persistence. The series are SIMULATED.

They start from a measured SrTiO3 spectrum where one is given (a file with one EELS spectrum of the Ti L and
O K edges; by default one below EUCENTRIC_SHARED or beside
the repository, if it is there), else from a simulated edge spectrum.
Errors are taken against what is expected without noise, over all steps ahead, in units of the mean intensity;
beside them the errors against what was counted, which no forecast can bring below the counting noise.
"""

from __future__ import annotations

import os
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import _harness as harness
import numpy as np
from numpy.typing import NDArray

from eucentric_hpc.recipes import RecipeData, parameters_of, recipe_named
from eucentric_models.spectra import (
    ForecasterSpec,
    ReductionRecipe,
    edge_spectrum,
    simulate_reduction,
    windows_of,
)
from eucentric_models.spectra.forecaster import Forecaster

_SHARED_FILE = Path("data/permissive/pytemlib_MIT/EELS_STO.dm3")
_RECENT = 3


def main() -> None:
    """Measure and report."""
    parser = harness.arguments(__doc__ or "")
    parser.add_argument("--spectrum", type=Path, help="file with one EELS spectrum (dm3, dm4, msa)")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    spectrum, energy_ev, origin = _start_spectrum(given.spectrum)
    figures = {
        "start_spectrum": origin,
        "simulated": True,
        **measure(spectrum, energy_ev, seed=given.seed, series=16 if given.quick else 40),
    }
    harness.report(figures, as_json=given.json, packages=["torch"])


def measure(
    spectrum: NDArray[np.floating], energy_ev: NDArray[np.floating], *, seed: int, series: int
) -> dict[str, Any]:
    """Train on simulated series, forecast other ones."""
    recipe, ranges = recipe_named("forecast"), ReductionRecipe()
    rng = np.random.default_rng(seed)
    parameters = parameters_of(
        recipe,
        {
            "energy_offset_ev": float(energy_ev[0]),
            "energy_dispersion_ev": float(energy_ev[1] - energy_ev[0]),
            "seed": seed,
        },
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        paths = []
        for index in range(series):
            counted = simulate_reduction(spectrum, energy_ev, ranges, rng)[1]
            paths.append(Path(folder) / f"series-{index:03d}.npy")
            np.save(paths[-1], counted, allow_pickle=False)
        started_s = time.monotonic()
        draft = recipe.train(
            executor, RecipeData(files={"series": tuple(paths)}), parameters, Path(folder) / "work"
        )
        train_s = time.monotonic() - started_s
        spec = ForecasterSpec.model_validate(draft.parameters)
        forecaster = Forecaster(spec, [path.read_bytes() for path in draft.weights])
    others = [simulate_reduction(spectrum, energy_ev, ranges, rng) for _ in range(max(8, series // 3))]
    return {"train_s": round(train_s, 2), **_errors(forecaster, spec, others)}


def _errors(
    forecaster: Forecaster,
    spec: ForecasterSpec,
    others: list[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> dict[str, Any]:
    squares: dict[str, list[float]] = {}
    for expected, counted in others:
        before, counts_after = windows_of(counted, history=spec.history, horizon=spec.horizon)
        for index, past in enumerate(before):
            unit = float(counted[index : index + spec.history].mean())
            at = index + spec.history
            truth = expected[at : at + spec.horizon] / unit
            ahead = {
                "forecast": forecaster.forecast(past).mean(axis=0),
                "persistence": past[-1:],
                "smoothed_persistence": past[-_RECENT:].mean(axis=0, keepdims=True),
            }
            for name, values in ahead.items():
                squares.setdefault(name, []).append(float(((values - truth) ** 2).mean()))
                counted_error = float(((values - counts_after[index]) ** 2).mean())
                squares.setdefault(f"{name}_counted", []).append(counted_error)
    rmse = {name: float(np.sqrt(np.mean(values))) for name, values in squares.items()}
    return {
        "windows": len(squares["forecast"]),
        "rmse_relative": rmse["forecast"],
        "persistence_rmse_relative": rmse["persistence"],
        "smoothed_persistence_rmse_relative": rmse["smoothed_persistence"],
        "better_than_persistence": 1 - rmse["forecast"] / rmse["persistence"],
        "better_than_smoothed_persistence": 1 - rmse["forecast"] / rmse["smoothed_persistence"],
        "counted_rmse_relative": rmse["forecast_counted"],
        "better_than_persistence_counted": 1 - rmse["forecast_counted"] / rmse["persistence_counted"],
        "better_than_smoothed_persistence_counted": 1
        - rmse["forecast_counted"] / rmse["smoothed_persistence_counted"],
    }


def _start_spectrum(given: Path | None) -> tuple[NDArray[np.floating], NDArray[np.floating], str]:
    beside = Path(__file__).parents[2] / "shared"
    path = given or Path(os.environ.get("EUCENTRIC_SHARED", beside)) / _SHARED_FILE
    if not path.is_file():
        energy_ev = 350.0 + 0.5 * np.arange(512)
        return edge_spectrum(energy_ev), energy_ev, "SIMULATED edge spectrum"
    from eucentric_agents.vendor_files import load_signals

    (signal, *_) = load_signals(path)
    axis = signal.axes[-1]
    values = np.asarray(signal.data, np.float64).reshape(-1, signal.data.shape[-1]).mean(axis=0)
    return values, axis.offset + axis.scale * np.arange(len(values)), f"measured ({path.name})"


if __name__ == "__main__":
    main()
