"""The steps of training a forecaster that run on workers: plain JSON in and out, data by path."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import JsonValue

from eucentric_core import write_atomic
from eucentric_models.engines import read_plain_array
from eucentric_models.spectra import ForecasterSpec, check_series, fit_basis, unit_of, windows_of
from eucentric_models.spectra.forecaster import Forecaster, build_forecaster, member_to_bytes

from .._training_errors import TrainingDivergedError
from .._training_progress import ProgressWriter
from ._forecast_scoring import rmse

__all__ = ["PROGRESS_FOLDER", "finish_forecaster", "train_forecaster"]

PROGRESS_FOLDER = "progress"

_CLIP = 1.0
_EDGE_PERCENTILE = 99.0


def train_forecaster(
    spec_json: dict[str, Any],
    parameters: dict[str, Any],
    series: Sequence[str],
    work_dir: str,
    member: int,
    content: str,
) -> dict[str, str]:
    """Train one member and write it.

    Args:
        spec_json: a `ForecasterSpec`.
        parameters: of the recipe.
        series: files to train on.
        work_dir: where the member goes.
        member: which one, from 0.
        content: hash of series and parameters, which tells this task from others with the same files.

    Returns:
        `weights`, the path of its safetensors file.

    Raises:
        TrainingDivergedError: the loss is no longer finite.
    """
    spec = ForecasterSpec.model_validate(spec_json)
    before, after = _windows(spec, series)
    # Every spectrum once: histories overlap.
    basis = fit_basis(before[:, -1], spec.components)
    inputs, targets = (torch.from_numpy(basis.scores(part)) for part in (before, after))
    # What counts in a spectrum is the raw score: of components in their own units, noise would weigh as much.
    weight = torch.from_numpy(basis.scale / float(np.sqrt(np.mean(basis.scale**2))))
    generator = torch.Generator().manual_seed(_seed(int(parameters["seed"]), member))
    network = build_forecaster(spec, generator).train()
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=parameters["learning_rate"], weight_decay=parameters["weight_decay"]
    )
    steps = int(parameters["steps"])
    said = ProgressWriter(Path(work_dir) / PROGRESS_FOLDER, f"member-{member}")
    for step in range(steps):
        for group in optimiser.param_groups:
            cosine = 0.5 * (1 + math.cos(math.pi * step / steps))
            group["lr"] = parameters["learning_rate"] * max(0.1, cosine)
        rows = torch.randint(len(inputs), (int(parameters["batch_size"]),), generator=generator)
        loss = ((network(inputs[rows]) - targets[rows]) * weight).square().mean()
        if not math.isfinite(float(loss.detach())):
            raise TrainingDivergedError(
                f"The loss became {float(loss.detach())} at step {step}.",
                safe="no weights were written.",
                next_step="lower learning_rate, or look for spectra with extreme values.",
            )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP)
        optimiser.step()
        said(step + 1, steps, float(loss.detach()))
    path = Path(work_dir) / f"member-{member}.safetensors"
    write_atomic(path, member_to_bytes(network, basis))
    return {"weights": str(path)}


def finish_forecaster(
    spec_json: dict[str, Any], members: Sequence[str], series: Sequence[str], work_dir: str, content: str
) -> dict[str, JsonValue]:
    """Measure the members on held-out series beside persistence; write reference and golden files.

    Args:
        spec_json: a `ForecasterSpec`.
        members: files of the members.
        series: files to measure on.
        work_dir: where files go.
        content: see `train_forecaster`.

    Returns:
        `rmse_relative` and `persistence_rmse_relative` (over the mean intensity of each history, against
        what was counted), their ratio `rmse_ratio_vs_persistence`, `smoothed_rmse_relative` of persistence
        of the mean of the last three spectra, and `held_out_windows`.
    """
    spec = ForecasterSpec.model_validate(spec_json)
    forecaster = Forecaster(spec, [Path(member).read_bytes() for member in members])
    before, after = _windows(spec, series)
    ahead = np.stack([forecaster.forecast(past).mean(axis=0) for past in before])
    first = np.sqrt(((ahead[:, 0] - after[:, 0]) ** 2).mean(axis=1)) / after[:, 0].mean(axis=1)
    edge = float(np.percentile(first, _EDGE_PERCENTILE))
    folder = Path(work_dir)
    reference = f'{{"edge_error": {max(edge, 1e-9)!r}, "windows": {len(before)}}}'
    write_atomic(folder / "reference.json", reference.encode())
    # In the unit of the history, so that one tolerance fits every exposure.
    golden = np.ascontiguousarray(before[0] / unit_of(before[0]), np.float32)
    np.save(folder / "history.npy", golden, allow_pickle=False)
    np.save(folder / "forecast.npy", forecaster.forecast(golden).mean(axis=0), allow_pickle=False)
    own, persistence = rmse(ahead, after), rmse(before[:, -1:], after)
    return {
        "rmse_relative": own,
        "persistence_rmse_relative": persistence,
        "smoothed_rmse_relative": rmse(before[:, -3:].mean(axis=1, keepdims=True), after),
        "rmse_ratio_vs_persistence": own / max(persistence, 1e-12),
        "held_out_windows": float(len(before)),
    }


def _windows(spec: ForecasterSpec, series: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    pairs = [
        windows_of(check_series(read_plain_array(Path(path))), history=spec.history, horizon=spec.horizon)
        for path in series
    ]
    return np.concatenate([pair[0] for pair in pairs]), np.concatenate([pair[1] for pair in pairs])


def _seed(seed: int, member: int) -> int:
    return int(np.random.SeedSequence([seed, 1, member]).generate_state(1, np.uint64)[0] >> 2)
