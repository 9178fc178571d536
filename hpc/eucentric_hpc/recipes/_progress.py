"""What a training says while somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel

__all__ = ["RecipeProgress", "TrainingNote"]


class TrainingNote(FrozenModel):
    """Where a training stands.

    Attributes:
        stage: what is done at present, as the recipe calls it.
        done: how much of it.
        of: how much there is.
        loss: of the training, None where there is no such thing.
        remaining_s: estimate of the time to the end of the stage, None if it cannot be told.
    """

    stage: str
    done: Annotated[int, Field(ge=0)]
    of: Annotated[int, Field(ge=1)]
    loss: float | None = None
    remaining_s: Annotated[float, Field(ge=0)] | None = None

    @property
    def sentence(self) -> str:
        """For a line of progress."""
        loss = "" if self.loss is None else f", loss {self.loss:.3g}"
        left = "" if self.remaining_s is None else f", about {self.remaining_s:.0f} s left"
        return f"{self.stage}: {self.done} of {self.of}{loss}{left}"


RecipeProgress = Callable[[TrainingNote], None]
"""Called by a training in the process of whoever submitted it."""
