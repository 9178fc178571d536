"""A figure of the model in service has become worse than the champion's was."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel, Identifier, ModelEvaluated

from .._memory import Memory
from .._moment import Met, Moment, NotMet, Outcome, Unconcerned
from ._base import EventMatch

__all__ = ["MetricTrigger"]


class MetricTrigger(FrozenModel):
    """An evaluation finds a figure worse than the champion's by at least `min_drop`.

    The champion's figure is the reference that the evaluation names; if it names none, the first figure that
    was measured of the version.

    Attributes:
        metric: name of the figure, for example `f1`.
        min_drop: in the unit of the figure.
        better: which direction is better; a drop is a change in the other.
        evaluations: so many in a row have to find it, so that a figure that flaps does not trigger.
    """

    kind: Literal["metric"] = "metric"
    metric: Identifier
    min_drop: Annotated[float, Field(gt=0, le=1e12)]
    better: Literal["higher", "lower"] = "higher"
    evaluations: Annotated[int, Field(ge=1, le=1000)] = 1

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset({"model.evaluated"})

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        event = moment.event
        if (
            not isinstance(event, ModelEvaluated)
            or event.model_name != moment.model
            or event.metric != self.metric
        ):
            return memory, Unconcerned()
        if event.model_version != memory.version:
            if memory.since_utc is not None and event.occurred_utc < memory.since_utc:
                return memory, NotMet(f"the evaluation is of version {event.model_version}, since replaced")
            memory = Memory(version=event.model_version)
        if memory.since_utc is None or event.occurred_utc > memory.since_utc:
            memory = memory.model_copy(update={"since_utc": event.occurred_utc})
        reference = event.reference if event.reference is not None else memory.reference
        if reference is None:
            first = memory.model_copy(update={"reference": event.value})
            return first, NotMet(
                f"{self.metric} {event.value:.3g} is the first of version {event.model_version}"
            )
        return self._against(reference, event, memory.model_copy(update={"reference": reference}))

    def _against(self, reference: float, event: ModelEvaluated, memory: Memory) -> tuple[Memory, Outcome]:
        drop = (reference - event.value) * (1 if self.better == "higher" else -1)
        told = f"{self.metric} {event.value:.3g} against {reference:.3g}"
        if drop < self.min_drop:
            return memory.model_copy(update={"met_utc": ()}), NotMet(
                f"{told}: not worse by {self.min_drop:g}"
            )
        seen = (*memory.met_utc, event.occurred_utc)
        if len(seen) < self.evaluations:
            after = memory.model_copy(update={"met_utc": seen})
            return after, NotMet(f"{told}: {len(seen)} of {self.evaluations} evaluations in a row")
        return memory.model_copy(update={"met_utc": ()}), Met(f"{told}: worse by {drop:.3g}", event.id)

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return None

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        row = "" if self.evaluations == 1 else f" in {self.evaluations} evaluations in a row"
        return (
            f"{self.metric} of model {model} is worse than the champion's by {self.min_drop:g} or more{row}"
        )

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: numbers are compared."""
        return None
