"""A recording is complete in the catalogue."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import DatasetRegistered

from .._memory import Memory
from .._moment import Met, Moment, NotMet, Outcome, Unconcerned
from ._base import EventMatch
from ._origin import FromOrigin

__all__ = ["DatasetTrigger"]


class DatasetTrigger(FromOrigin):
    """A recording of a material, sample or instrument is complete, with at least `min_frames` frames."""

    kind: Literal["dataset"] = "dataset"
    min_frames: Annotated[int, Field(ge=1, le=10**9)] = 1

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset({"dataset.registered"})

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        event = moment.event
        if not isinstance(event, DatasetRegistered) or not self.is_from_here(event):
            return memory, Unconcerned()
        if event.frames < self.min_frames:
            return memory, NotMet(
                f"data set {event.dataset_id} has {event.frames} of {self.min_frames} frames"
            )
        return memory, Met(f"data set {event.dataset_id} has {event.frames} frames", event.id)

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return None

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        return f"a data set{self.of_origin()} with at least {self.min_frames} frame(s) is registered"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: a number of frames is no label."""
        return None if self.min_frames > 1 else EventMatch("dataset.registered", self.origin)
