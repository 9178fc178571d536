"""How well montage and drive-to-feature do on the digital twin's landscape with a worn stage, seed by seed.

Errors are against the twin's true positions. The stage has 80 nm of backlash and 4 nm of scatter (rms); a
montage has 4 x 4 tiles of 256 pixels, 1 um wide; a drive has 100 particles of a 1 um overview, found in it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from _harness import arguments, report
from numpy.typing import NDArray

from eucentric_agents.procedures import (
    DirectMicroscope,
    DrivePlan,
    DriveResult,
    DriveToFeature,
    Exposure,
    Montage,
    MontagePlan,
    MontageResult,
    corrected_move,
    find_particles,
    run,
)
from eucentric_core import AgentSettings, Frame

FIELD_M = 1e-6
FEATURES = 100
TOLERANCE_M = 2e-9
PARTICLE_M = 10e-9
STAGE: dict[str, Any] = {
    "speed_m_per_s": 1e-3,
    "settle_time_s": 0.0,
    "backlash_m": 80e-9,
    "repeatability_m": 4e-9,
}
TILE = Exposure(height_px=256, width_px=256, field_of_view_m=FIELD_M)
OVERVIEW = Exposure(height_px=512, width_px=512, field_of_view_m=FIELD_M)
CLOSE = Exposure(height_px=128, width_px=128, field_of_view_m=60e-9)


def twin(seed: int, *, beam_current_a: float = 30e-12, **stage: float) -> AgentSettings:
    """A twin over a landscape that drifts by 2 pm a second."""
    driver = {
        "material": "gold_on_carbon",
        "seed": seed,
        "specimen": {"extent_m": 8e-6, "drift_m_per_s": [2e-12, 1e-12]},
        "column": {"field_of_view_m": FIELD_M, "beam_current_a": beam_current_a},
        "stage": {**STAGE, **stage},
    }
    return AgentSettings(name="bench", driver=driver)


class Truths:
    """A frame sink that remembers which particles truly were in each frame."""

    def __init__(self) -> None:
        self._rows: dict[int, NDArray[np.float64]] = {}

    def __call__(self, frame: Frame) -> None:
        """Receive a frame."""
        if frame.header.stream == "truth":
            rows = np.asarray(frame.array, np.float64)
            self._rows[frame.header.sequence] = rows[rows[:, 2] != frame.header.classes.index("seed"), :2]

    def miss_m(self, frame: Frame | None) -> float:
        """How far the nearest particle is from the middle of a frame."""
        if frame is None:
            return float("inf")
        middle = (np.array(frame.array.shape) - 1) / 2
        distance = np.linalg.norm(self._rows[frame.header.sequence] - middle, axis=1)
        return float(distance.min(initial=np.inf)) * frame.header.pixel_size_m


def tile_error_px(result: MontageResult, *, solved: bool) -> float:
    """RMS distance of the tiles from their true positions, but for a common shift."""
    stages = [tile.stage for tile in result.tiles]
    true = np.array([(stage.actual_x_m, stage.actual_y_m) for stage in stages], np.float64)
    believed = np.array(
        [(tile.x_m, tile.y_m) for tile in result.tiles]
        if solved
        else [(stage.reported_x_m, stage.reported_y_m) for stage in stages]
    )
    wrong = (believed - true) / result.frame.header.pixel_size_m
    wrong -= wrong.mean(axis=0)
    return float(np.sqrt(np.mean(np.sum(wrong**2, axis=1))))


def montages(seeds: range, *, beam_current_a: float) -> dict[str, list[float]]:
    """Errors (pixels) and times of montages."""
    figures: dict[str, list[float]] = {"raw": [], "solved": [], "unused": [], "seconds": []}
    for seed in seeds:
        with DirectMicroscope.open(twin(seed, beam_current_a=beam_current_a)) as scope:
            began = time.perf_counter()
            result = run(Montage(MontagePlan(rows=4, columns=4, exposure=TILE)), scope)
            figures["seconds"].append(time.perf_counter() - began)
        figures["raw"].append(tile_error_px(result, solved=False))
        figures["solved"].append(tile_error_px(result, solved=True))
        figures["unused"].append(len(result.failed))
    return figures


def drives(seeds: range, *, corrector: str, repeatability_m: float) -> dict[str, list[float]]:
    """How many of a hundred features ended within the tolerance, how far off they were, and times."""
    figures: dict[str, list[float]] = {"within": [], "median_m": [], "seconds": []}
    for seed in seeds:
        truths = Truths()
        settings = twin(seed, backlash_m=30e-9, repeatability_m=repeatability_m)
        with DirectMicroscope.open(settings, forward=truths) as scope:
            plan = DrivePlan.model_validate(
                {
                    "overview": OVERVIEW,
                    "final": CLOSE,
                    "tolerance_m": TOLERANCE_M,
                    "corrector": corrector,
                    "keep_going": True,
                }
            )
            began = time.perf_counter()
            result = run(DriveToFeature(plan, _most_typical), scope)
            figures["seconds"].append(time.perf_counter() - began)
        misses = _misses_m(result, truths)
        figures["within"].append(int(np.sum(misses <= TOLERANCE_M)))
        figures["median_m"].append(float(np.median(misses)))
    return figures


def moves(seeds: range) -> dict[str, list[float]]:
    """Errors (m) of a move over a micrometre, by the stage alone and corrected by images."""
    return {
        "raw_m": [_move_error_m(seed, corrected=False) for seed in seeds],
        "corrected_m": [_move_error_m(seed, corrected=True) for seed in seeds],
    }


def _move_error_m(seed: int, *, corrected: bool) -> float:
    x_m, y_m = -0.9e-6, 0.6e-6
    with DirectMicroscope.open(twin(seed, repeatability_m=1e-9)) as scope:
        scope.start_session("bench")
        start = _actual(scope)
        if corrected:
            corrected_move(scope, x_m=x_m, y_m=y_m, exposure=TILE, tolerance_m=3e-9)
        else:
            scope.move_stage(x_m=x_m, y_m=y_m)
        return float(np.hypot(*(_actual(scope) - start - (x_m, y_m))))


def _actual(scope: DirectMicroscope) -> NDArray[np.float64]:
    actual = scope.stage().actual
    if actual is None:
        raise SystemExit("the twin does not say where its stage is")
    return np.array([actual.x_m, actual.y_m])


def _most_typical(overview: Frame) -> NDArray[np.float64]:
    return find_particles(overview, diameter_m=PARTICLE_M, threshold=0.6, margin_px=8)[:FEATURES]


def _misses_m(result: DriveResult, truths: Truths) -> NDArray[np.float64]:
    misses = [truths.miss_m(visit.frame) for visit in result.visits]
    # Fewer features than asked for count as missed.
    return np.array(misses + [float("inf")] * (FEATURES - len(misses)))


def main() -> None:
    """Measure and report."""
    options = arguments(__doc__ or "").parse_args()
    montage_seeds, drive_seeds = (range(2), range(1)) if options.quick else (range(10), range(5))
    montage = montages(montage_seeds, beam_current_a=30e-12)
    dim = montages(montage_seeds, beam_current_a=1e-12)
    drive = drives(drive_seeds, corrector="auto", repeatability_m=4e-9)
    by_stage = drives(drive_seeds, corrector="stage", repeatability_m=0.7e-9)
    move = moves(montage_seeds)
    figures = {
        "montage_seeds": len(montage_seeds),
        "montage_raw_min_px": min(montage["raw"]),
        "montage_residual_median_px": float(np.median(montage["solved"])),
        "montage_residual_max_px": max(montage["solved"]),
        "montage_unused_pairs": sum(montage["unused"]),
        "montage_low_dose_residual_max_px": max(dim["solved"]),
        "montage_low_dose_unused_pairs": sum(dim["unused"]),
        "montage_s": float(np.median(montage["seconds"])),
        "drive_seeds": len(drive_seeds),
        "drive_within_2nm_of_100_min": min(drive["within"]),
        "drive_miss_median_m": float(np.median(drive["median_m"])),
        "drive_s_per_feature": float(np.median(drive["seconds"])) / FEATURES,
        "drive_by_stage_within_2nm_of_100_min": min(by_stage["within"]),
        "drive_by_stage_miss_median_m": float(np.median(by_stage["median_m"])),
        "move_raw_median_m": float(np.median(move["raw_m"])),
        "move_corrected_max_m": max(move["corrected_m"]),
    }
    rounded = {
        key: value if isinstance(value, int) else float(f"{value:.3g}") for key, value in figures.items()
    }
    report(rounded, as_json=options.json, packages=("scikit-image", "scipy"))


if __name__ == "__main__":
    main()
