"""ELIT beside AtomAI: time to the same F1, positions, drifted conditions, calibration, prediction time.

Everything runs on one thread, and what is compared is processor time, with wall time beside it: that holds on
a shared machine too. Without `--atomai-python` the comparison is left out, with the reason in
`atomai_skipped`. AtomAI's trainings are kept in `--work` and not repeated; ours are always made anew.
docs/elit.md explains the keys.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import _elit_bound as elit_bound
import _elit_data as elit_data
import _elit_own as elit_own
import numpy as np
import torch
from _elit_figures import GOOD_F1, ratio, summary
from _elit_peer import Checkpoint, Peer, PeerError
from _harness import arguments, quantile, report
from threadpoolctl import threadpool_limits

from eucentric_hpc import TrainingSet

SAME_F1 = 0.002
ELIT_FRAMES = 4
TIMED_SIDE_PX = 512


def main() -> None:
    """Measure and report."""
    chosen = _options()
    torch.set_num_threads(1)
    # Threads of linear algebra wait for each other in loops that count as processor time.
    with threadpool_limits(1), tempfile.TemporaryDirectory(prefix="eucentric-elit-") as scratch:
        work = chosen.work or Path(scratch)
        materials: dict[str, dict[str, Any]] = {}
        skipped = None if chosen.atomai_python else "no --atomai-python was given"
        for name in chosen.materials:
            if (kept := _kept(work, name, chosen)) is not None:
                materials[name] = kept
                continue
            frames = elit_data.training_frames(name, 40 if chosen.quick else 160)
            judged = elit_data.judged_frames(name, chosen.frames)
            materials[name], champion = _own(name, frames, judged, Path(scratch) / name, chosen)
            if skipped is None:
                peer = Peer(chosen.atomai_python, name, work / f"atomai-{name}")
                try:
                    materials[name] |= _beside(
                        peer, frames, judged, champion, materials[name], Path(scratch), chosen
                    )
                except PeerError as error:
                    skipped = str(error)
            _keep(work, name, chosen, materials[name])
        figures = summary(materials) | {"materials": materials}
    if skipped is not None:
        figures["atomai_skipped"] = skipped
    report(figures, as_json=chosen.json, packages=["torch"])


def _options() -> argparse.Namespace:
    options = arguments(str(__doc__).splitlines()[0])
    options.add_argument("--atomai-python", type=Path, help="interpreter of an environment that has AtomAI")
    options.add_argument("--work", type=Path, help="where AtomAI's trainings are kept (default: nowhere)")
    options.add_argument(
        "--resume",
        action="store_true",
        help="do not measure again what an earlier run with the same options left in --work",
    )
    options.add_argument(
        "--materials", nargs="+", choices=list(elit_data.SUBJECTS), default=list(elit_data.SUBJECTS)
    )
    options.add_argument(
        "--cycles", type=int, default=200, help="AtomAI's training cycles (default: %(default)s)"
    )
    options.add_argument(
        "--frames", type=int, default=6, help="judged frames for each condition (default: %(default)s)"
    )
    chosen = options.parse_args()
    if chosen.quick:
        chosen.materials, chosen.frames, chosen.cycles = chosen.materials[:1], 2, 40
    return chosen


def _kept(work: Path, name: str, chosen: argparse.Namespace) -> dict[str, Any] | None:
    path = work / f"figures-{name}.json"
    if not chosen.resume or not path.exists():
        return None
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if kept["options"] != _what_matters(chosen):
        return None
    _tell(f"{name}: measured {kept['at']}")
    return {**kept["figures"], "measured": kept["at"]}


def _keep(work: Path, name: str, chosen: argparse.Namespace, figures: Mapping[str, Any]) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    kept = {"options": _what_matters(chosen), "at": at, "figures": figures}
    work.mkdir(parents=True, exist_ok=True)
    (work / f"figures-{name}.json").write_text(json.dumps(kept), encoding="utf-8")


def _what_matters(chosen: argparse.Namespace) -> dict[str, Any]:
    return {
        "quick": chosen.quick,
        "frames": chosen.frames,
        "cycles": chosen.cycles,
        "atomai": chosen.atomai_python is not None,
        "recipe": elit_own.TRAINING.model_dump(mode="json"),
    }


def _own(
    name: str,
    frames: TrainingSet,
    judged: Mapping[str, TrainingSet],
    folder: Path,
    chosen: argparse.Namespace,
) -> tuple[dict[str, Any], elit_own.Model]:
    steps = 60 if chosen.quick else elit_own.TRAINING.steps
    champion = elit_own.train(name, frames, folder, steps=steps)
    _tell(f"{name}: {len(champion.ensemble)} networks trained in {champion.cpu_s:.0f} CPU s")
    conditions = {key: elit_own.judge(name, champion, data) for key, data in judged.items()}
    _tell(f"{name}: " + _in_short({key: metrics["f1"] for key, metrics in conditions.items()}))
    iterations: dict[str, Any] = {}
    for condition in elit_data.DRIFTED:
        if conditions[condition]["f1"] >= GOOD_F1:
            continue
        new = elit_data.first_drifted_frames(name, condition, ELIT_FRAMES)
        model = elit_own.iterate(name, champion, elit_own.start_file(folder), new, folder / condition)
        after = elit_own.judge(name, model, judged[condition])
        _tell(f"{name}: {condition} after one iteration: {after['f1']:.4f}")
        iterations[condition] = {**after, "cpu_s": model.cpu_s, "wall_s": model.wall_s}
    displaced, steps_px = elit_data.displaced_frames(name, 2 if chosen.quick else 4)
    responses = {
        key: elit_own.response_to_displacement(champion, displaced, steps_px, lattice_prior=prior)
        for key, prior in (("own", True), ("own_without_prior", False))
    }
    bounds = elit_bound.bounds_m(name)
    _tell(f"{name}: response to displaced columns: {responses}")
    figures = {
        "members": len(champion.ensemble),
        "threshold": champion.decoding.threshold,
        "bound_m": bounds,
        "rmse_over_bound": {
            key: metrics["position_rmse_m"] / bounds[key]
            for key, metrics in conditions.items()
            if "position_rmse_m" in metrics
        },
        "rmse_without_prior_over_bound": {
            key: metrics["position_rmse_without_prior_m"] / bounds[key]
            for key, metrics in conditions.items()
            if "position_rmse_without_prior_m" in metrics
        },
        "response_to_displacement": responses,
        "training_cpu_s": champion.cpu_s,
        "training_wall_s": champion.wall_s,
        "own": conditions,
        "after_one_iteration": iterations,
    }
    return figures, champion


def _beside(
    peer: Peer,
    frames: TrainingSet,
    judged: Mapping[str, TrainingSet],
    champion: elit_own.Model,
    own: Mapping[str, Any],
    scratch: Path,
    chosen: argparse.Namespace,
) -> dict[str, Any]:
    validation = elit_data.validation_frames(peer.name, 24)
    peer.train(frames, validation, cycles=chosen.cycles, every=20)
    checkpoints = peer.checkpoints()
    last = checkpoints[-1]
    _tell(f"{peer.name}: AtomAI has {last.cycles} cycles in {last.cpu_s:.0f} CPU s")
    scores = peer.judge(last, judged)
    _tell(f"{peer.name}: AtomAI: " + _in_short({key: score.f1 for key, score in scores.items()}))
    ratios, ratios_without_prior = (
        {key: ratio(own["own"][key].get(figure), score.position_rmse_m) for key, score in scores.items()}
        for figure in ("position_rmse_m", "position_rmse_without_prior_m")
    )
    _tell(
        f"{peer.name}: position error over AtomAI's: "
        + ", ".join(f"{k} {r:.2f}" for k, r in ratios.items() if r)
    )
    displaced, steps_px = elit_data.displaced_frames(peer.name, 2 if chosen.quick else 4)
    found_px = [rows[:, :2] for rows in peer.found(last, {"displaced": displaced})["displaced"]]
    target = scores["own"].f1
    prediction = _predictions(peer, last, champion, scratch, 3 if chosen.quick else 12)
    _tell(f"{peer.name}: " + ", ".join(f"{key} {value:.4g}" for key, value in prediction.items()))
    own_frames = {"own": judged["own"]}
    peer_s, peer_cycles, peer_wall_s = _first_reaching(peer, checkpoints, own_frames, target - SAME_F1)
    ours = elit_own.time_to(peer.name, frames, judged["own"], target - SAME_F1)
    _tell(f"{peer.name}: F1 {target - SAME_F1:.4f}: AtomAI {peer_s:.0f} CPU s, ours {_when(ours)}")
    return {
        "atomai": {key: score.as_dict() for key, score in scores.items()},
        "atomai_cycles": last.cycles,
        "atomai_training_cpu_s": last.cpu_s,
        "atomai_training_wall_s": last.wall_s,
        "same_f1": target - SAME_F1,
        "atomai_to_same_f1": {"cycles": peer_cycles, "cpu_s": peer_s, "wall_s": peer_wall_s},
        "own_to_same_f1": ours,
        "rmse_ratio": ratios,
        "rmse_ratio_without_prior": ratios_without_prior,
        "atomai_response_to_displacement": elit_own.response(found_px, steps_px),
        "prediction": prediction,
    }


def _first_reaching(
    peer: Peer, checkpoints: Sequence[Checkpoint], frames: Mapping[str, TrainingSet], f1: float
) -> tuple[float, int, float]:
    for checkpoint in checkpoints:
        if peer.judge(checkpoint, frames)["own"].f1 >= f1:
            break
    return checkpoint.cpu_s, checkpoint.cycles, checkpoint.wall_s


def _predictions(
    peer: Peer, checkpoint: Checkpoint, champion: elit_own.Model, scratch: Path, repetitions: int
) -> dict[str, float]:
    """Milliseconds for one frame with coordinates, in turns; the first turn warms up.

    Processor time, which is what others on the machine change least; by the clock it is `_wall_`.
    """
    data = elit_data.large_frame(peer.name, TIMED_SIDE_PX)
    frame, path = data.frames[0], scratch / "timed.npy"
    np.save(path, frame.astype(np.float32))
    single, whole = champion.at_the_edge(1), champion.at_the_edge(elit_own.MEMBERS)
    names = ("atomai", "own_network", "own_ensemble")
    took: dict[str, list[float]] = {f"{name}{kind}": [] for name in names for kind in ("", "_wall")}
    with peer.server(checkpoint) as server:
        for _ in range(repetitions + 1):
            said = server.predict(path)
            took["atomai"].append(said["cpu_s"])
            took["atomai_wall"].append(said["wall_s"])
            for key, model in (("own_network", single), ("own_ensemble", whole)):
                cpu_s, wall_s = time.process_time(), time.perf_counter()
                model.ensemble.infer(frame, pixel_size_m=data.pixel_sizes_m[0]).detections(model.decoding)
                took[key].append(time.process_time() - cpu_s)
                took[f"{key}_wall"].append(time.perf_counter() - wall_s)
    result = {f"{key}_p50_ms": 1e3 * quantile(samples[1:], 0.5) for key, samples in took.items()}
    result |= {f"{key}_best_ms": 1e3 * min(samples[1:]) for key, samples in took.items()}
    result["f1_own_network"] = elit_own.judge(peer.name, single, data)["f1"]
    result["f1_own_ensemble"] = elit_own.judge(peer.name, whole, data)["f1"]
    result["f1_atomai"] = peer.judge(checkpoint, {"large": data})["large"].f1
    return result


def _when(ours: Mapping[str, float]) -> str:
    return f"{ours['cpu_s']:.0f}" if ours["reached"] else f"not reached ({ours['f1']:.4f})"


def _tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _in_short(f1: Mapping[str, float]) -> str:
    return "F1 " + ", ".join(f"{key} {value:.4f}" for key, value in f1.items())


if __name__ == "__main__":
    main()
