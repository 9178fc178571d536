"""How far a training is: written beside its checkpoint by the worker, read by whoever waits for it.

Files on the file system that both share work the same for every executor, survive the death of either side,
and need no open port.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from eucentric_core import FrozenModel, write_atomic

__all__ = ["PROGRESS_SUFFIX", "ProgressWriter", "TrainingProgress", "read_progress"]

PROGRESS_SUFFIX = ".progress.json"
_MAX_BYTES = 16_384
_MAX_FILES = 1024


class TrainingProgress(FrozenModel):
    """Where one training stands.

    Attributes:
        task: what is trained, e.g. `member-2`.
        step: optimiser steps done.
        steps: steps there are.
        loss: of the last step.
        resumed_from_step: 0 unless a checkpoint was found.
        elapsed_s: wall time since this attempt began or resumed.
        remaining_s: estimate of the time to the last step, None until it can be told.
        host: where it runs.
        written_unix_s: when this was written, by that machine's clock.
    """

    task: str
    step: Annotated[int, Field(ge=0)]
    steps: Annotated[int, Field(ge=1)]
    loss: float | None = None
    resumed_from_step: Annotated[int, Field(ge=0)] = 0
    elapsed_s: Annotated[float, Field(ge=0)] = 0.0
    remaining_s: Annotated[float, Field(ge=0)] | None = None
    host: str = ""
    written_unix_s: float = 0.0

    @property
    def done(self) -> bool:
        """Whether the last step is done."""
        return self.step >= self.steps


class ProgressWriter:
    """Called after every step; replaces its file at most every `period_s`, and after the last step.

    Args:
        folder: shared with whoever waits; made if need be.
        task: a name that is fit for a file.
        period_s: a shared file system is spared what nobody could read.
    """

    def __init__(self, folder: Path, task: str, *, period_s: float = 0.5) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{task}{PROGRESS_SUFFIX}"
        self._task = task
        self._period_s = period_s
        self._host = os.environ.get("SLURMD_NODENAME") or os.uname().nodename
        self._began: tuple[int, float] | None = None
        self._written_s = -period_s

    def __call__(self, step: int, steps: int, loss: float) -> None:
        """Say that `step` of `steps` is done."""
        now = time.monotonic()
        if self._began is None:
            self._began = step - 1, now
        if now - self._written_s < self._period_s and step < steps:
            return
        self._written_s = now
        first, began_s = self._began
        since_s, done = now - began_s, step - first - 1
        progress = TrainingProgress(
            task=self._task,
            step=step,
            steps=steps,
            loss=loss,
            resumed_from_step=first,
            elapsed_s=since_s,
            # The clock started after the first step of this attempt.
            remaining_s=(steps - step) * since_s / done if done else None,
            host=self._host,
            written_unix_s=time.time(),
        )
        # Not durable on purpose: progress is worth nothing after a power cut.
        write_atomic(self._path, progress.model_dump_json().encode(), durable=False)


def read_progress(folder: Path) -> tuple[TrainingProgress, ...]:
    """What every training of a folder says of itself, by task; those that have not begun say nothing."""
    return tuple(sorted(_readable(folder), key=lambda progress: (len(progress.task), progress.task)))


def _readable(folder: Path) -> Iterator[TrainingProgress]:
    for path in sorted(folder.glob(f"[!.]*{PROGRESS_SUFFIX}"))[:_MAX_FILES]:
        try:
            with path.open("rb") as stream:
                yield TrainingProgress.model_validate_json(stream.read(_MAX_BYTES))
        except (OSError, ValidationError):
            # On a network file system a file that is replaced may vanish for a moment: the next look sees it.
            continue
