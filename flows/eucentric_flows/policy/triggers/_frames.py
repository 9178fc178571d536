"""So many new frames, or so many bytes of them, have been registered."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from eucentric_core import ShardRegistered

from .._memory import Memory, Sample, within
from .._moment import Met, Moment, NotMet, Outcome, Unconcerned
from .._wording import duration, size
from ._base import EventMatch
from ._origin import FromOrigin

__all__ = ["FramesTrigger"]

_DAY_S = 86_400.0


class FramesTrigger(FromOrigin):
    """At least `count` frames, or `size_bytes` bytes, were registered within `within_s`.

    They are counted by when they were registered, a shard at a time; a shard that arrives late counts if it
    lies within the time. Once met, the count begins again at nothing.
    """

    kind: Literal["frames"] = "frames"
    count: Annotated[int, Field(ge=1, le=10**9)] | None = None
    size_bytes: Annotated[int, Field(ge=1, le=10**18)] | None = None
    within_s: Annotated[float, Field(gt=0, le=30 * _DAY_S)] = _DAY_S

    @model_validator(mode="after")
    def _one_measure(self) -> Self:
        if (self.count is None) == (self.size_bytes is None):
            raise ValueError("give either count or size_bytes")
        return self

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset({"shard.registered"})

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        event = moment.event
        if not isinstance(event, ShardRegistered) or not self.is_from_here(event):
            return memory, Unconcerned()
        amount = event.frames if self.size_bytes is None else event.size_bytes
        if amount is None:
            return memory, NotMet("the shard does not state its size in bytes")
        samples = within(memory.samples, Sample(at_utc=event.occurred_utc, value=amount), self.within_s)
        found = sum(sample.value for sample in samples)
        if found < self._wanted:
            reason = f"{self._amount(found)} of {self._amount(self._wanted)} within {duration(self.within_s)}"
            return Memory(samples=samples), NotMet(reason)
        return Memory(), Met(f"{self._amount(found)} within {duration(self.within_s)}", event.id)

    @property
    def _wanted(self) -> int:
        return self.count or self.size_bytes or 0

    def _amount(self, amount: float) -> str:
        return size(amount) if self.size_bytes is not None else f"{amount:.0f} frames"

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return None

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        what = f"{self._amount(self._wanted)}{' of frames' if self.size_bytes is not None else ''}"
        return f"{what}{self.of_origin()} have been registered within {duration(self.within_s)}"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: Prefect counts events, not what they say."""
        return None
