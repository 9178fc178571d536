"""The state of an unfinished training: one safetensors file whose header carries the JSON part."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from eucentric_core import write_atomic

from ._training_errors import TrainingDataError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Everything that a resumed training needs to go on as if it had never stopped.

    Attributes:
        fingerprint: hash of configuration, architecture, data and initial weights.
        step: steps done.
        losses: one per step done.
        seconds: time spent so far.
        averaged_steps: how many weights the running average holds.
        rng_state: of the numpy generator that draws the crops.
        tensors: weights, optimiser moments and running average, by prefixed name.
    """

    fingerprint: str
    step: int
    losses: tuple[float, ...]
    seconds: float
    averaged_steps: int
    rng_state: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Replace the checkpoint atomically: a kill at any moment leaves the old one or the new one."""
    header = {
        "fingerprint": checkpoint.fingerprint,
        "step": checkpoint.step,
        "losses": checkpoint.losses,
        "seconds": checkpoint.seconds,
        "averaged_steps": checkpoint.averaged_steps,
        "rng_state": checkpoint.rng_state,
    }
    tensors = {name: tensor.detach().contiguous() for name, tensor in checkpoint.tensors.items()}
    write_atomic(path, safetensors.torch.save(tensors, metadata={"checkpoint": json.dumps(header)}))


def read_checkpoint(path: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint at ``path``, or None when there is none or it belongs to another training.

    Raises:
        TrainingDataError: the file exists and is damaged.
    """
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as archive:
            header = json.loads((archive.metadata() or {})["checkpoint"])
            if header["fingerprint"] != fingerprint:
                return None
            tensors = {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118
        return Checkpoint(tensors=tensors, **{**header, "losses": tuple(header["losses"])})
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise TrainingDataError(
            f"The checkpoint {path.name} is damaged ({error}).",
            safe="nothing was trained and the file was not touched.",
            next_step="move the file away to start this training from the beginning.",
        ) from error
