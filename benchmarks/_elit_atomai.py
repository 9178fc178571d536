"""What `elit.py` lets AtomAI do, in an interpreter that has AtomAI (docs/elit.md says how to make one).

It imports nothing of Eucentric, and takes and gives numpy files only. Three steps, each a process:

    train    a Segmentor on frames and masks; weights and CPU seconds at every checkpoint
    predict  coordinates of every frame, one frame at a time
    serve    time single predictions on request, so that they can be interleaved with those of others
"""

from __future__ import annotations

import argparse
import copy
import importlib
import importlib.metadata
import importlib.util
import json
import os
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

ARCHITECTURE = "Unet"


def main() -> None:
    """Do one step and print JSON lines on the standard output."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    steps = parser.add_subparsers(dest="step", required=True)
    train = steps.add_parser("train")
    train.add_argument("--data", type=Path, required=True, help="npz: frames, masks, test_frames, test_masks")
    train.add_argument("--cycles", type=int, required=True)
    train.add_argument("--batch", type=int, default=8)
    train.add_argument("--every", type=int, default=20, help="cycles between two checkpoints")
    predict = steps.add_parser("predict")
    predict.add_argument("--frames", type=Path, required=True, help="npz: one array for each frame")
    predict.add_argument("--weights", type=Path, required=True)
    serve = steps.add_parser("serve")
    serve.add_argument("--weights", type=Path, required=True)
    for step in (train, predict, serve):
        step.add_argument("--classes", type=int, required=True, help="outputs of the network")
        step.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    # The protocol has the standard output to itself: AtomAI prints.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    warnings.filterwarnings("ignore")
    os.environ.setdefault("MPLBACKEND", "Agg")
    _stand_in_for_torchvision()
    {"train": _train, "predict": _predict, "serve": _serve}[chosen.step](chosen, answers)


def _train(chosen: argparse.Namespace, answers: Any) -> None:
    with np.load(chosen.data, allow_pickle=False) as data:
        arrays = [data[name] for name in ("frames", "masks", "test_frames", "test_masks")]
    segmentor = _segmentor(chosen.classes)
    clock = {"cpu_s": 0.0, "wall_s": 0.0, "cpu": time.process_time(), "wall": time.perf_counter()}
    step = segmentor.step

    def step_with_checkpoints(cycle: int) -> None:
        step(cycle)
        if (cycle + 1) % chosen.every == 0:
            _stop(clock)
            _save(chosen.out / f"cycle-{cycle + 1}.npz", segmentor.net)
            _say(answers, cycles=cycle + 1, cpu_s=clock["cpu_s"], wall_s=clock["wall_s"])
            clock.update(cpu=time.process_time(), wall=time.perf_counter())

    segmentor.step = step_with_checkpoints
    segmentor.fit(
        *arrays,
        training_cycles=chosen.cycles,
        batch_size=chosen.batch,
        compute_accuracy=False,
        swa=True,
        plot_training_history=False,
        print_loss=chosen.every,
        gauss_noise=[0, 30],
        rotation=True,
        filename=str(chosen.out / "segmentor"),
    )
    _stop(clock)
    _save(chosen.out / "final.npz", segmentor.net)
    _say(answers, cycles=chosen.cycles, final=True, cpu_s=clock["cpu_s"], wall_s=clock["wall_s"])


def _predict(chosen: argparse.Namespace, answers: Any) -> None:
    segmentor = _segmentor(chosen.classes, chosen.weights)
    found = {}
    with np.load(chosen.frames, allow_pickle=False) as frames:
        for name in frames.files:
            _, coordinates = segmentor.predict(frames[name], verbose=False)
            found[name] = np.asarray(coordinates[0], np.float64).reshape(-1, 3)
    np.savez(chosen.out / "found.npz", **found)  # type: ignore[arg-type]
    _say(answers, frames=len(found))


def _serve(chosen: argparse.Namespace, answers: Any) -> None:
    """Each line on the standard input names a `.npy` frame; the answer is how long its prediction took."""
    segmentor = _segmentor(chosen.classes, chosen.weights)
    _say(answers, ready=True)
    for line in sys.stdin:
        frame = np.load(line.strip(), allow_pickle=False)
        cpu, wall = time.process_time(), time.perf_counter()
        _, coordinates = segmentor.predict(frame, verbose=False)
        took = {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}
        _say(answers, found=len(coordinates[0]), **took)


def _segmentor(classes: int, weights: Path | None = None) -> Any:
    import torch

    # By name: the interpreter that checks types need not have it.
    atomai = importlib.import_module("atomai")

    torch.set_num_threads(1)
    segmentor = atomai.models.Segmentor(ARCHITECTURE, nb_classes=classes)
    if weights is not None:
        with np.load(weights, allow_pickle=False) as arrays:
            segmentor.net.load_state_dict({name: torch.from_numpy(arrays[name]) for name in arrays.files})
    return segmentor


def _save(path: Path, network: Any) -> None:
    state = copy.deepcopy(network.state_dict())
    np.savez(path, **{name: tensor.cpu().numpy() for name, tensor in state.items()})


def _stop(clock: dict[str, float]) -> None:
    clock["cpu_s"] += time.process_time() - clock["cpu"]
    clock["wall_s"] += time.perf_counter() - clock["wall"]


def _say(answers: Any, **message: Any) -> None:
    answers.write(json.dumps({**message, "atomai": importlib.metadata.version("atomai")}) + "\n")
    answers.flush()


def _stand_in_for_torchvision() -> None:
    """AtomAI imports torchvision for backbones that a Unet has not; its usual wheel needs CUDA to load."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "model_registry" / "converters"))
    importlib.import_module("torchvision_stand_in").stand_in_for_torchvision()


if __name__ == "__main__":
    main()
