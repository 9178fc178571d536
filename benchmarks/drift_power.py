"""How surely drift is noticed, and how often it is noticed where there is none. The frames are SIMULATED.

A small ensemble is trained on the demonstration's conditions by the recipe `elit`; its drift reference is
the one that such a training leaves in every bundle. Windows of 1, 8 and 32 new frames are judged by
`judge_window` at a declared false-alarm rate: frames of the same conditions say how often it really alarms,
frames of drifted ones how often it sees the drift.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import _harness as harness
import numpy as np
import torch

from eucentric_hpc import simulated_start_data, start_training, write_training_set
from eucentric_hpc.recipes import RecipeData, parameters_of, recipe_named
from eucentric_models import (
    DEMO_CONDITIONS,
    DriftReference,
    DriftReferenceError,
    ImagingConditions,
    StartConditions,
    conformal_limit,
    judge_window,
    simulate_frames,
)
from eucentric_models.networks import Ensemble

_WINDOWS = (1, 8, 32)
_SIDE_PX = 160
_Seen = list[tuple[Any, float]]


def main() -> None:
    """Train, judge and report."""
    parser = harness.arguments(__doc__ or "")
    parser.add_argument("--false-alarm-rate", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(1)
    started_s = time.monotonic()
    ensemble, reference = _trained(given.seed)
    rng = np.random.default_rng([given.seed, 1])
    frames = 64 if given.quick else 128
    conditions = {"none": (DEMO_CONDITIONS.material, DEMO_CONDITIONS.initial), **_drifts()}
    table: dict[str, dict[str, float]] = {}
    for name, (material, imaging) in conditions.items():
        count = 5 * frames if name == "none" else frames
        seen = _look(ensemble, material, imaging, count, rng)
        table[name] = {
            f"window_{size}": _alarm_share(reference, seen, size, given.false_alarm_rate) for size in _WINDOWS
        }
    harness.report(
        {
            "simulated": True,
            "false_alarm_rate": given.false_alarm_rate,
            "reference_frames": reference.frames,
            "frame_limit": _limit(reference, given.false_alarm_rate),
            "measured_false_alarms": table.pop("none"),
            "detection": table,
            "seconds": time.monotonic() - started_s,
        },
        as_json=given.json,
        packages=["torch"],
    )


def _drifts() -> Mapping[str, tuple[str, ImagingConditions]]:
    initial, material = DEMO_CONDITIONS.initial, DEMO_CONDITIONS.material
    found: dict[str, tuple[str, ImagingConditions]] = {}
    for factor in (0.7, 0.5, 0.25, 0.1):
        found[f"dose x{factor:g}"] = _changed(beam_current_a=initial.beam_current_a * factor)
    for factor in (1.05, 1.15, 1.3, 1.6, 0.6):
        found[f"pixel x{factor:g}"] = _changed(pixel_size_m=initial.pixel_size_m * factor)
    for extra_nm in (2, 4, 8):
        found[f"defocus +{extra_nm} nm"] = _changed(defocus_m=initial.defocus_m + extra_nm * 1e-9)
    found[f"graphene for {material}"] = ("graphene", initial)
    return found


def _changed(**changes: float) -> tuple[str, ImagingConditions]:
    initial = DEMO_CONDITIONS.initial
    return DEMO_CONDITIONS.material, ImagingConditions.model_validate({**initial.model_dump(), **changes})


def _trained(seed: int) -> tuple[Ensemble, DriftReference]:
    conditions = StartConditions.model_validate(
        {
            **{name: getattr(DEMO_CONDITIONS, name) for name in StartConditions.model_fields},
            "shape": (_SIDE_PX, _SIDE_PX),
            "start_frames": 64,
        }
    )
    recipe = recipe_named("elit")
    parameters = parameters_of(
        recipe,
        {
            "network": conditions.network,
            "member": start_training(conditions),
            "members": 2,
            "preprocessing": conditions.preprocessing,
            "decoding": conditions.decoding,
            "seed": seed,
        },
    )
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as executor:
        path = Path(folder) / "start.npz"
        write_training_set(path, simulated_start_data(conditions, np.random.default_rng(seed)))
        draft = recipe.train(
            executor, RecipeData(files={"start": (path,)}), parameters, Path(folder) / "work"
        )
        blobs = [weights.read_bytes() for weights in draft.weights]
        reference = DriftReference.from_json(draft.files[draft.drift_reference].read_bytes())
    return Ensemble(conditions.network, blobs, preprocessing=conditions.preprocessing), reference


def _look(
    ensemble: Ensemble, material: str, imaging: ImagingConditions, count: int, rng: np.random.Generator
) -> _Seen:
    frames = simulate_frames(
        material, imaging, count, (_SIDE_PX, _SIDE_PX), rng, spread=DEMO_CONDITIONS.start_spread
    )
    inferences = [ensemble.infer(frame.frame) for frame in frames]
    return [(inference.features, inference.mean_entropy) for inference in inferences]


def _alarm_share(reference: DriftReference, seen: _Seen, size: int, rate: float) -> float:
    # Windows that share no frame: overlapping ones would say the same thing several times.
    alarms = []
    for start in range(0, len(seen) - size + 1, size):
        window = seen[start : start + size]
        verdict = judge_window(
            reference, [features for features, _ in window], [e for _, e in window], false_alarm_rate=rate
        )
        alarms.append(verdict.drifted)
    return float(np.mean(alarms))


def _limit(reference: DriftReference, rate: float) -> float | None:
    try:
        return conformal_limit(reference, rate)
    except DriftReferenceError:
        return None


if __name__ == "__main__":
    main()
