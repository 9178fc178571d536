"""A real, tiny training that writes every step down, and is as slow as a file says."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from eucentric_core import sha256_file, write_atomic
from eucentric_hpc import MemberConfig, MemberResult, ProgressWriter, train_member
from eucentric_models import DEMO_CONDITIONS, NetworkSpec, simulate_frames

__all__ = ["CHECKPOINT_STEPS", "STEPS", "paced_training_task", "steps_done", "train_straight"]

STEPS = 400
CHECKPOINT_STEPS = 10
_SPEC = NetworkSpec(n_classes=3, base_filters=4, depth=1, stem_factor=4)
_CONFIG = MemberConfig(
    steps=STEPS, batch_size=1, crop_px=32, checkpoint_every_steps=CHECKPOINT_STEPS, torch_threads=1, seed=3
)


def paced_training_task(work_dir: str) -> dict[str, Any]:
    """Train in a worker; while `slow` exists in the folder, it holds how long a step takes in seconds.

    Every attempt appends a line to `attempts`, every step of it a line to its own file.
    """
    folder = Path(work_dir)
    attempt = f"{os.getpid()}-{time.time_ns()}"
    progress = ProgressWriter(folder / "progress", "member-0", period_s=0.1)
    began = False

    def tell(step: int, steps: int, loss: float) -> None:
        nonlocal began
        if not began:
            began = True
            facts = {"attempt": attempt, "first_step": step, "job": os.environ.get("SLURM_JOB_ID")}
            _append(folder / "attempts", json.dumps(facts))
        _append(folder / f"steps-{attempt}", str(step))
        progress(step, steps, loss)
        time.sleep(_pace_s(folder / "slow"))

    result = _train(folder / "member.checkpoint", tell)
    write_atomic(folder / "member.safetensors", result.weights)
    return {
        "sha256": sha256_file(folder / "member.safetensors"),
        "losses": list(result.losses),
        "resumed_from_step": result.resumed_from_step,
    }


def train_straight() -> MemberResult:
    """The same training without interruption, here and now."""
    return _train(None, None)


def steps_done(folder: Path) -> list[list[int]]:
    """The steps of each attempt, in order; an attempt that made none is left out."""
    lines = _lines(folder / "attempts")
    return [[int(step) for step in _lines(folder / f"steps-{json.loads(line)['attempt']}")] for line in lines]


def _train(checkpoint: Path | None, tell: Any) -> MemberResult:
    labelled = simulate_frames("mos2", DEMO_CONDITIONS.initial, 2, (64, 64), np.random.default_rng(0))
    return train_member(
        [frame.frame for frame in labelled],
        [frame.truth for frame in labelled],
        _SPEC,
        _CONFIG,
        checkpoint_path=checkpoint,
        progress=tell,
    )


def _pace_s(path: Path) -> float:
    try:
        return float(path.read_text())
    except FileNotFoundError:
        return 0.0


def _append(path: Path, line: str) -> None:
    with path.open("a") as stream:
        stream.write(f"{line}\n")


def _lines(path: Path) -> list[str]:
    # A step that was being written when the power went is no step.
    return [line for line in path.read_text().split("\n")[:-1] if line] if path.exists() else []
