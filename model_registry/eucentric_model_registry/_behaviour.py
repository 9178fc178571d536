"""How a model behaves apart from its score: how fast here, on golden chips, and on what it cannot know."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eucentric_core import LatencyMeasurement
from eucentric_models import ModelsError
from eucentric_models.engines import EngineModel, read_plain_array

from ._figures import Figure, Figures

__all__ = ["BEHAVIOUR_SETS", "Sample", "edge_figures", "measure_behaviour", "unfamiliar_images"]

BEHAVIOUR_SETS = ("target", "golden", "unfamiliar", "edge")
"""Names of the sets whose figures no recipe measures; those of `edge` are measured by the edge itself."""

_WARM_UP = 2
_REPEATS = 24
_LONGEST_S = 20.0

Sample = tuple[NDArray[np.generic], float | None]
"""An image `(ny, nx)` of raw values, and its pixel size in metres; None where nobody knows it."""


def measure_behaviour(
    model: EngineModel,
    samples: Sequence[Sample],
    *,
    champion: EngineModel | None = None,
    champion_folder: Path | None = None,
    seed: int = 0,
) -> Figures:
    """Figures of the sets `target`, `golden` and `unfamiliar`, as far as they can be measured.

    - `target`: `latency_p50_ms`, `latency_p99_ms` of whole analyses, counts to findings, on this machine and
      on at most 24 of the samples, two unmeasured before them.
    - `golden`: `difference_to_champion`, the largest difference between both models' answers to the
      champion's golden chips, where their answers have one shape.
    - `unfamiliar`: `flagged_share` of frames that no model can know (`unfamiliar_images`) whose drift score
      is above 1, or which the model refuses; absent for a model without a drift score.

    Args:
        model: to measure.
        samples: frames that it was not trained on; the first decides the size of the unfamiliar ones.
        champion: the model in production.
        champion_folder: where its golden chips lie.
        seed: of the unfamiliar frames.

    Raises:
        ModelsError: the model cannot analyse a sample.
    """
    holdouts: dict[str, dict[str, Figure]] = {}
    if samples:
        holdouts["target"] = _latency(model, samples)
        unfamiliar = _unfamiliar(model, samples[0], seed)
        if unfamiliar is not None:
            holdouts["unfamiliar"] = {"flagged_share": unfamiliar}
    if champion is not None and champion_folder is not None:
        difference = _difference(model, champion, champion_folder)
        if difference is not None:
            holdouts["golden"] = {"difference_to_champion": difference}
    return Figures(holdouts=holdouts)


def edge_figures(measured: LatencyMeasurement) -> Figures:
    """What an edge measured, as the set `edge`: `latency_p50_ms` and `latency_p99_ms`."""
    return Figures(
        holdouts={
            "edge": {
                "latency_p50_ms": Figure(value=measured.p50_ms, unit="ms", support=measured.frames),
                "latency_p99_ms": Figure(value=measured.p99_ms, unit="ms", support=measured.frames),
            }
        }
    )


def unfamiliar_images(shape: tuple[int, ...], *, mean: float, seed: int = 0) -> list[NDArray[np.float32]]:
    """Frames that hold nothing a model of a material can know: noise, a slope, stripes, a disc.

    Args:
        shape: `(ny, nx)`.
        mean: counts of a usual frame, so that only the content is unfamiliar.
        seed: of the noise.

    Returns:
        Four images `(ny, nx)`, float32, with Poisson noise.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    level = max(mean, 1.0)
    disc = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < min(shape) / 3
    plans = (
        np.full(shape, level),
        2 * level * x / shape[1],
        2 * level * (x % 16 < 8),
        2 * level * disc,
    )
    return [rng.poisson(plan).astype(np.float32) for plan in plans]


def _latency(model: EngineModel, samples: Sequence[Sample]) -> dict[str, Figure]:
    end_s, taken_ms = time.perf_counter() + _LONGEST_S, []
    for turn in range(_WARM_UP + _REPEATS):
        image, pixel_size_m = samples[turn % len(samples)]
        started_s = time.perf_counter()
        model.apply(image, pixel_size_m=pixel_size_m)
        if turn >= _WARM_UP:
            taken_ms.append((time.perf_counter() - started_s) * 1e3)
        if taken_ms and time.perf_counter() > end_s:
            break
    p50, p99 = np.percentile(taken_ms, [50, 99])
    return {
        "latency_p50_ms": Figure(value=float(p50), unit="ms", support=len(taken_ms)),
        "latency_p99_ms": Figure(value=float(p99), unit="ms", support=len(taken_ms)),
    }


def _unfamiliar(model: EngineModel, sample: Sample, seed: int) -> Figure | None:
    image, pixel_size_m = sample
    if model.apply(image, pixel_size_m=pixel_size_m).drift_score is None:
        return None
    frames = unfamiliar_images(image.shape, mean=float(np.asarray(image, np.float64).mean()), seed=seed)
    flagged = 0
    for frame in frames:
        try:
            score = model.apply(frame, pixel_size_m=pixel_size_m).drift_score
        except ModelsError:
            flagged += 1
        else:
            flagged += score is not None and score > 1
    return Figure(value=flagged / len(frames), support=len(frames))


def _difference(model: EngineModel, champion: EngineModel, folder: Path) -> Figure | None:
    differences = []
    for chip in champion.description.golden:
        frame, expected = read_plain_array(folder / chip.frame), read_plain_array(folder / chip.expected)
        try:
            answer = model.answer(frame)
        except ModelsError:
            return None
        if answer.shape != expected.shape:
            return None
        differences.append(float(np.abs(answer - expected).max()))
    return Figure(value=max(differences), support=len(differences)) if differences else None
