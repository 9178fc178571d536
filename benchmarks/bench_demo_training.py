"""What the demonstration's drift does to detection, and what retraining and inference cost.

For each seed: train an ensemble on simulated start data, judge it on frames of the initial and of the
drifted conditions, retrain it on forty drifted frames, judge again. Training runs on two worker processes
with one thread each.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _harness import arguments, quantile, report

from eucentric_hpc import (
    DEMO_RETRAINING,
    DEMO_START_TRAINING,
    EnsembleRequest,
    EnsembleResult,
    TrainingSet,
    evaluate_ensemble,
    simulated_start_data,
    train_ensemble,
    write_training_set,
)
from eucentric_models import (
    DEMO_CONDITIONS,
    DriftReference,
    ImagingConditions,
    build_crystal,
    decode,
    form_frame,
    material_named,
    simulate_frames,
)
from eucentric_models.networks import Ensemble

WORKERS = 2
CLASSES = material_named(DEMO_CONDITIONS.material).detectable_classes


def main() -> None:
    """Measure and report."""
    options = arguments(str(__doc__).splitlines()[0])
    options.add_argument("--seeds", type=int, default=3, help="how many seeds")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    context = multiprocessing.get_context("spawn")
    stories: list[dict[str, Any]] = []
    with ProcessPoolExecutor(WORKERS, mp_context=context, initializer=_quiet_worker) as executor:
        for seed in range(1 if chosen.quick else chosen.seeds):
            with tempfile.TemporaryDirectory(prefix="eucentric-bench-") as folder:
                stories.append(_story(executor, seed, Path(folder)))
            if not chosen.json:
                print(stories[-1], flush=True)
    figures: dict[str, Any] = {"seeds": len(stories), "workers": WORKERS}
    for key in stories[0]:
        values = [story[key] for story in stories]
        figures[key] = values if isinstance(values[0], list) else [round(float(value), 4) for value in values]
    figures |= _twin_cost()
    # Summed over the workers, which have ended: includes their start and the import of torch.
    figures["workers_cpu_s"] = round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime, 1)
    report(figures, as_json=chosen.json, packages=["torch"])


def _story(executor: Executor, seed: int, folder: Path) -> dict[str, Any]:
    rng = np.random.default_rng([2026, seed])
    demo = DEMO_CONDITIONS
    started = time.monotonic()
    start = simulated_start_data(demo, rng)
    start_data_s = time.monotonic() - started
    write_training_set(folder / "start.npz", start)
    held_out_initial = _frames(demo.initial, 16, rng)
    held_out_drifted = _frames(demo.drifted, 16, rng)
    write_training_set(folder / "new.npz", _frames(demo.drifted, 40, rng))

    first = EnsembleRequest(
        work_dir=folder / "first",
        network=demo.network,
        member=DEMO_START_TRAINING,
        classes=CLASSES,
        start_data=folder / "start.npz",
        seed=seed,
    )
    started = time.monotonic()
    champion = train_ensemble(executor, first)
    first_s = time.monotonic() - started
    second = first.model_copy(
        update={
            "work_dir": folder / "second",
            "member": DEMO_RETRAINING,
            "new_data": folder / "new.npz",
            "champion": champion.weights,
        }
    )
    started = time.monotonic()
    challenger = train_ensemble(executor, second)
    second_s = time.monotonic() - started

    before, after = _ensemble(champion), _ensemble(challenger)
    initial = evaluate_ensemble(before, held_out_initial, classes=CLASSES)
    drifted = evaluate_ensemble(before, held_out_drifted, classes=CLASSES)
    recovered = evaluate_ensemble(after, held_out_drifted, classes=CLASSES)
    frame = held_out_initial.frames[0]
    infer_ms = [_milliseconds(lambda: decode(before.infer(frame).maps)) for _ in range(30)]
    return {
        "f1_initial": initial["f1"],
        "f1_drifted": drifted["f1"],
        "f1_recovered": recovered["f1"],
        "f1_recovered_on_initial": evaluate_ensemble(after, held_out_initial)["f1"],
        "f1_dopant_recovered": recovered["f1_dopant"],
        "position_rmse_initial_pm": initial["position_rmse_m"] * 1e12,
        "position_rmse_recovered_pm": recovered["position_rmse_m"] * 1e12,
        "calibration_error_recovered": recovered["calibration_error"],
        "members_kept": len(challenger.selected),
        "way_f1_drift_quality": _way(before, champion.drift_reference, rng),
        "drift_score_initial_max": _drift_scores(before, champion.drift_reference, held_out_initial)[-1],
        "drift_score_drifted_min": _drift_scores(before, champion.drift_reference, held_out_drifted)[0],
        "drift_score_recovered_max": _drift_scores(after, challenger.drift_reference, held_out_drifted)[-1],
        "start_data_s": start_data_s,
        "first_training_s": first_s,
        "retraining_s": second_s,
        "infer_and_decode_p50_ms": quantile(infer_ms, 0.5),
        "infer_and_decode_p99_ms": quantile(infer_ms, 0.99),
    }


def _way(ensemble: Ensemble, reference: DriftReference, rng: np.random.Generator) -> list[list[float]]:
    way = []
    for progress in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        data = _frames(DEMO_CONDITIONS.at(progress), 6, rng)
        metrics = evaluate_ensemble(ensemble, data)
        scores = _drift_scores(ensemble, reference, data)
        proxy = reference.quality_proxy(metrics["mean_entropy"])
        row = (progress, metrics["f1"], scores[len(scores) // 2], proxy)
        way.append([round(value, 3) for value in row])
    return way


def _drift_scores(ensemble: Ensemble, reference: DriftReference, data: TrainingSet) -> list[float]:
    return sorted(reference.score(ensemble.infer(frame).features) for frame in data.frames)


def _frames(conditions: ImagingConditions, count: int, rng: np.random.Generator) -> TrainingSet:
    frames = simulate_frames(DEMO_CONDITIONS.material, conditions, count, DEMO_CONDITIONS.shape, rng)
    return TrainingSet(
        tuple(frame.frame for frame in frames),
        tuple(frame.truth for frame in frames),
        tuple(frame.conditions.pixel_size_m for frame in frames),
    )


def _ensemble(result: EnsembleResult) -> Ensemble:
    return Ensemble(DEMO_CONDITIONS.network, [path.read_bytes() for path in result.weights])


def _twin_cost() -> dict[str, float]:
    rng = np.random.default_rng(0)
    crystal = build_crystal(material_named("mos2"), (4e-8, 4e-8), rng)
    conditions = DEMO_CONDITIONS.initial
    cost_ms = [_milliseconds(lambda: form_frame(crystal, conditions, (512, 512), rng)) for _ in range(60)]
    return {
        "frame_formation_512_p50_ms": round(quantile(cost_ms, 0.5), 2),
        "frame_formation_512_p99_ms": round(quantile(cost_ms, 0.99), 2),
    }


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1e3


def _quiet_worker() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)


if __name__ == "__main__":
    main()
