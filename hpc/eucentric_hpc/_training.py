"""Training of one ensemble member: resumable, with explicit randomness and averaged weights."""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eucentric_models import DEFAULT_PREPROCESSING, NetworkSpec, Preprocessing, normalise
from eucentric_models.networks import UNet, build_network, load_weights, weights_to_bytes

from ._checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ._crops import CropSampler
from ._losses import LOSSES
from ._member_config import MemberConfig
from ._stop_requests import StopReason, stop_requests
from ._training_errors import (
    TrainingConfigError,
    TrainingDivergedError,
    TrainingInterruptedError,
    TrainingStoppedError,
)
from ._training_set import TRUTH_COLUMNS

_log = logging.getLogger(__name__)

Progress = Callable[[int, int, float], None]
"""Called as ``progress(step, steps, loss)`` after every step."""


class MemberResult(BaseModel):
    """A trained member.

    Attributes:
        weights: safetensors blob.
        losses: one per step, those before a resume included.
        seconds: wall time spent on the steps, that before a resume included.
        resumed_from_step: 0 for an uninterrupted training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: bytes
    losses: tuple[float, ...]
    seconds: float
    resumed_from_step: int


def train_member(
    frames: Sequence[NDArray[np.generic]],
    truths: Sequence[NDArray[np.floating]],
    spec: NetworkSpec,
    config: MemberConfig,
    *,
    initial_weights: bytes | None = None,
    preprocessing: Preprocessing = DEFAULT_PREPROCESSING,
    checkpoint_path: Path | None = None,
    progress: Progress | None = None,
    time_limit_s: float | None = None,
) -> MemberResult:
    """Train one member, or go on where a killed training stopped.

    The same arguments give the same weights, whether or not the training was interrupted on the way (on one
    machine with one thread).

    Args:
        frames: raw (ny, nx) frames, each side at least ``config.crop_px``.
        truths: (n, 3) rows ``y_px, x_px, class_id`` per frame; class ids of ``spec.n_classes`` and above mark
            places left out of the loss. A fourth column weighs the place in the loss.
        spec: architecture.
        config: budget and recipe.
        initial_weights: warm start; random when None.
        preprocessing: normalisation.
        checkpoint_path: where to keep the state, that after the last step, too: repeated, a training that is
            done gives its result at once. Whoever has recorded the result removes it. None keeps none.
        progress: called after every step.
        time_limit_s: give up, with a checkpoint, after this much wall time.

    Raises:
        TrainingConfigError: the arguments do not fit each other; raised before the first step.
        WeightsError: the initial weights do not fit the architecture.
        InvalidFrameError: a frame is not a finite real 2D array.
        TrainingInterruptedError: the time limit was reached.
        TrainingStoppedError: the training was told to stop (see `stop_requests`), and left a checkpoint.
        TrainingDivergedError: the loss is no longer finite.
    """
    _refuse_misfits(frames, truths, spec, config)
    started = time.monotonic()
    previous_threads = torch.get_num_threads()
    torch.set_num_threads(config.torch_threads)
    try:
        network = (
            build_network(spec, torch.Generator().manual_seed(config.seed))
            if initial_weights is None
            else load_weights(spec, initial_weights)
        ).train()
        training = _Training(network, config, _fingerprint(frames, truths, spec, config, initial_weights))
        images = [normalise(frame, preprocessing) for frame in frames]
        training.sampler = CropSampler(
            images, truths, spec.n_classes, config, np.random.default_rng(config.seed)
        )
        resumed = training.resume(checkpoint_path) if checkpoint_path else 0
        spent = training.seconds
        with stop_requests() as stop:
            while training.step < config.steps:
                loss = training.advance()
                training.seconds = spent + time.monotonic() - started
                if progress:
                    progress(training.step, config.steps, loss)
                last = training.step == config.steps
                told = None if last else stop.reason()
                late = not last and time_limit_s is not None and time.monotonic() - started > time_limit_s
                due = last or late or told or training.step % config.checkpoint_every_steps == 0
                if checkpoint_path and due and stop.may_write():
                    training.save(checkpoint_path)
                if told:
                    raise _stopped(told, training.step, checkpoint_path)
                if late:
                    raise TrainingInterruptedError(
                        f"The time limit of {time_limit_s:g} s was reached at step {training.step}.",
                        safe=_kept(checkpoint_path),
                        next_step="submit the same training again; it resumes from its checkpoint.",
                    )
        result = MemberResult(
            weights=training.averaged_weights(),
            losses=tuple(training.losses),
            seconds=training.seconds,
            resumed_from_step=resumed,
        )
    finally:
        torch.set_num_threads(previous_threads)
    return result


def _kept(checkpoint_path: Path | None) -> str:
    return "the state is in the checkpoint." if checkpoint_path else "no checkpoint was asked for."


def _stopped(reason: StopReason, step: int, checkpoint_path: Path | None) -> TrainingStoppedError:
    replaced = reason is StopReason.SUPERSEDED
    return TrainingStoppedError(
        f"The training was told to stop at step {step}: {reason}.",
        safe="the newer attempt has the checkpoint." if replaced else _kept(checkpoint_path),
        next_step="wait for the newer attempt."
        if replaced
        else "submit the same training again; it resumes from its checkpoint.",
        reason=str(reason),
        step=step,
    )


class _Training:
    """Mutable state of one training; each attribute is in the checkpoint or rebuilt from the arguments."""

    sampler: CropSampler

    def __init__(self, network: UNet, config: MemberConfig, fingerprint: str) -> None:
        self.network = network
        self.config = config
        self.fingerprint = fingerprint
        self.optimiser = torch.optim.AdamW(
            network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        self.average: dict[str, torch.Tensor] = {}
        self.averaged_steps = 0
        self.step = 0
        self.losses: list[float] = []
        self.seconds = 0.0

    def advance(self) -> float:
        for group in self.optimiser.param_groups:
            group["lr"] = _learning_rate(self.step, self.config)
        images, targets, masks = (torch.from_numpy(array) for array in self.sampler.batch())
        logits = self.network(images.to(memory_format=torch.channels_last))
        weights = masks * (1 + self.config.positive_weight * targets)
        loss = LOSSES[self.config.loss](logits, targets, weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDivergedError(
                f"The loss became {value} at step {self.step}.",
                safe="no weights were written; the last checkpoint is intact.",
                next_step="lower learning_rate, or look for frames with extreme values.",
            )
        self.step += 1
        self.losses.append(value)
        if self.step > self.config.steps - self.config.swa_steps:
            self._add_to_average()
        return value

    def _add_to_average(self) -> None:
        # Stochastic weight averaging: Izmailov et al., UAI 2018.
        self.averaged_steps += 1
        for name, tensor in self.network.state_dict().items():
            if name in self.average:
                self.average[name].lerp_(tensor, 1 / self.averaged_steps)
            else:
                self.average[name] = tensor.clone()

    def averaged_weights(self) -> bytes:
        if self.average:
            self.network.load_state_dict(self.average)
        return weights_to_bytes(self.network)

    def save(self, path: Path) -> None:
        names = [name for name, _ in self.network.named_parameters()]
        tensors = {f"weights/{name}": tensor for name, tensor in self.network.state_dict().items()}
        tensors |= {f"average/{name}": tensor for name, tensor in self.average.items()}
        for index, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser/{key}/{names[index]}": value for key, value in moments.items()}
        write_checkpoint(
            path,
            Checkpoint(
                fingerprint=self.fingerprint,
                step=self.step,
                losses=tuple(self.losses),
                seconds=self.seconds,
                averaged_steps=self.averaged_steps,
                rng_state=dict(self.sampler.rng.bit_generator.state),
                tensors=tensors,
            ),
        )

    def resume(self, path: Path) -> int:
        checkpoint = read_checkpoint(path, self.fingerprint)
        if checkpoint is None:
            return 0
        groups: dict[str, dict[str, torch.Tensor]] = {"weights": {}, "average": {}, "optimiser": {}}
        for name, tensor in checkpoint.tensors.items():
            group, rest = name.split("/", 1)
            groups[group][rest] = tensor
        self.network.load_state_dict(groups["weights"])
        self.average = groups["average"]
        names = [name for name, _ in self.network.named_parameters()]
        state: dict[int, dict[str, torch.Tensor]] = {}
        for rest, tensor in groups["optimiser"].items():
            key, name = rest.split("/", 1)
            state.setdefault(names.index(name), {})[key] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": state})
        self.sampler.rng.bit_generator.state = checkpoint.rng_state
        self.step, self.losses = checkpoint.step, list(checkpoint.losses)
        self.seconds, self.averaged_steps = checkpoint.seconds, checkpoint.averaged_steps
        _log.info("training resumed at step %d of %d", self.step, self.config.steps)
        return self.step


def _learning_rate(step: int, config: MemberConfig) -> float:
    warmup = config.warmup_fraction * config.steps
    if step < warmup:
        return config.learning_rate * (step + 1) / (warmup + 1)
    progress = (step - warmup) / max(config.steps - warmup, 1)
    # The floor keeps the last steps moving, without which averaging them would average nothing.
    return config.learning_rate * max(0.1, 0.5 * (1 + math.cos(math.pi * progress)))


def _refuse_misfits(
    frames: Sequence[NDArray[np.generic]],
    truths: Sequence[NDArray[np.floating]],
    spec: NetworkSpec,
    config: MemberConfig,
) -> None:
    problem = None
    if not frames or len(frames) != len(truths):
        problem = f"{len(frames)} frames and {len(truths)} truth arrays were given"
    elif (smallest := min(min(np.shape(frame)) for frame in frames)) < config.crop_px:
        problem = f"crop_px is {config.crop_px} but the smallest frame side is {smallest} px"
    elif config.crop_px % spec.size_multiple or config.crop_px <= spec.size_multiple:
        problem = f"crop_px {config.crop_px} is not a larger multiple of {spec.size_multiple}"
    elif any(np.ndim(truth) != 2 or np.shape(truth)[1] not in TRUTH_COLUMNS for truth in truths):
        problem = "a truth array does not have the shape (n, 3) or (n, 4)"
    elif not any((np.asarray(truth)[:, 2] < spec.n_classes).any() for truth in truths):
        problem = "no frame has a single labelled column"
    if problem:
        raise TrainingConfigError(
            f"The training cannot start: {problem}.",
            safe="no step was made and no file was written.",
            next_step="correct the configuration or the data and submit again.",
        )


def _fingerprint(
    frames: Sequence[NDArray[np.generic]],
    truths: Sequence[NDArray[np.floating]],
    spec: NetworkSpec,
    config: MemberConfig,
    initial_weights: bytes | None,
) -> str:
    digest = hashlib.sha256(spec.model_dump_json().encode() + config.model_dump_json().encode())
    digest.update(initial_weights or b"")
    for array in (*frames, *truths):
        digest.update(f"{array.dtype}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
