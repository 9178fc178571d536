"""What a training says while somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel

from .._training_progress import TrainingProgress

__all__ = ["RecipeProgress", "TrainingNote", "note_of"]


class TrainingNote(FrozenModel):
    """Where a training stands.

    Attributes:
        stage: what is done at present, as the recipe calls it.
        unit: what `done` and `of` count, where the stage does not say so.
        done: how much of it.
        of: how much there is.
        loss: of the training, None where there is no such thing.
        remaining_s: estimate of the time to the end of the stage, None if it cannot be told.
        waiting: what the work waits for, e.g. `queued in Slurm: Priority, 4 min`; None when it runs.
    """

    stage: str
    unit: str = ""
    done: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1)]
    loss: float | None = None
    remaining_s: Annotated[float, Field(ge=0)] | None = None
    waiting: str | None = None

    @property
    def sentence(self) -> str:
        """For a line of progress."""
        if self.waiting is not None:
            return self.waiting
        loss = "" if self.loss is None else f", loss {self.loss:.3g}"
        left = "" if self.remaining_s is None else f", about {_duration(self.remaining_s)} left"
        counted = f", {self.unit}" if self.unit else ":"
        return f"{self.stage}{counted} {self.done} of {self.of}{loss}{left}"


def note_of(members: tuple[TrainingProgress, ...], waiting: str | None, count: int) -> TrainingNote | None:
    """How far a set of members is, by the one that needs longest; None when none trains.

    Args:
        members: what `member-0`, `member-1`... say of themselves.
        waiting: what the work waits for, if it does.
        count: how many members there will be.
    """
    if waiting is not None:
        return TrainingNote(stage="waiting", done=0, of=1, waiting=waiting)
    training = [member for member in members if not member.done]
    if not training:
        return None
    last = max(training, key=lambda member: member.remaining_s or 0.0)
    number = int(last.task.removeprefix("member-")) + 1
    return TrainingNote(
        stage=f"member {number} of {count}",
        unit="step",
        done=last.step,
        of=last.steps,
        loss=last.loss,
        remaining_s=last.remaining_s,
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


RecipeProgress = Callable[[TrainingNote], None]
"""Called by a training in the process of whoever submitted it."""
