"""The keys of `elit.py`, out of what was measured for each material."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import _elit_data as elit_data

GOOD_F1 = 0.95


def summary(materials: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The keys of docs/elit.md, from the figures of each material."""
    own = {name: figures["own"] for name, figures in materials.items()}
    before = {
        f"{name}/{condition}": conditions[condition]["f1"]
        for name, conditions in own.items()
        for condition in elit_data.DRIFTED
    }
    after = before | {
        f"{name}/{condition}": max(metrics["f1"], before[f"{name}/{condition}"])
        for name, figures in materials.items()
        for condition, metrics in figures["after_one_iteration"].items()
    }
    figures: dict[str, Any] = {
        "f1_own": min(conditions["own"]["f1"] for conditions in own.values()),
        "f1_min_drifted": min(after.values()),
        "f1_min_drifted_before": min(before.values()),
        "iterated": sorted(key for key in before if before[key] < GOOD_F1),
        "f1_lowest_dose": min(conditions["dose_1"]["f1"] for conditions in own.values()),
        "ece": max(conditions["own"]["calibration_error"] for conditions in own.values()),
        "ece_worst_condition": max(
            metrics["calibration_error"] for conditions in own.values() for metrics in conditions.values()
        ),
    }
    figures["rmse_over_bound_worst"] = max(
        ratio for entry in materials.values() for ratio in entry["rmse_over_bound"].values()
    )
    compared = [entry for entry in materials.values() if "atomai" in entry]
    if compared:
        figures |= {
            # None when our network did not get there in any of the trainings that were tried.
            "time_ratio_vs_atomai": max(
                entry["own_to_same_f1"]["cpu_s"] / entry["atomai_to_same_f1"]["cpu_s"] for entry in compared
            )
            if all(entry["own_to_same_f1"]["reached"] for entry in compared)
            else None,
            "training_ratio_vs_atomai": max(
                entry["training_cpu_s"] / entry["atomai_training_cpu_s"] for entry in compared
            ),
            # The geometric mean over conditions and materials, and on own frames alone.
            "rmse_ratio_vs_atomai": mean_ratio(
                [r for entry in compared for r in entry["rmse_ratio"].values()]
            ),
            "rmse_ratio_without_prior": mean_ratio(
                [r for entry in compared for r in entry["rmse_ratio_without_prior"].values()]
            ),
            "rmse_ratio_own_frames": max(entry["rmse_ratio"]["own"] for entry in compared),
            "predict_speedup_vs_atomai": min(
                entry["prediction"]["atomai_p50_ms"] / entry["prediction"]["own_network_p50_ms"]
                for entry in compared
            ),
            "predict_speedup_by_the_clock": min(
                entry["prediction"]["atomai_wall_p50_ms"] / entry["prediction"]["own_network_wall_p50_ms"]
                for entry in compared
            ),
            "predict_speedup_of_ensemble": min(
                entry["prediction"]["atomai_p50_ms"] / entry["prediction"]["own_ensemble_p50_ms"]
                for entry in compared
            ),
        }
    return figures


def ratio(own: float | None, other: float | None) -> float | None:
    """None where one of them is not known."""
    return None if own is None or other is None else own / other


def mean_ratio(ratios: Sequence[float | None]) -> float | None:
    """Geometric mean of those that are known."""
    known = [ratio for ratio in ratios if ratio is not None]
    return math.exp(sum(map(math.log, known)) / len(known)) if known else None
