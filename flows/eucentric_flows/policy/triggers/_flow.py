"""Another flow has come to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from eucentric_core import FrozenModel, Identifier, RunEnded

from .._memory import Memory
from .._moment import Met, Moment, NotMet, Outcome, Unconcerned
from .._wording import listed
from ._base import EventMatch

__all__ = ["FlowTrigger"]


class FlowTrigger(FrozenModel):
    """A run of a flow, of any policy or by hand, ended with one of these outcomes.

    Runs of the policy itself never trigger it.

    Attributes:
        flow: name of the flow, for example `retrain`.
        outcomes: what counts; empty for whatever it was.
        policy: only runs of this policy.
        model: only runs of this model; by default the policy's own.
    """

    kind: Literal["flow"] = "flow"
    flow: Identifier
    outcomes: Annotated[
        tuple[Literal["promoted", "rejected", "held", "failed", "done", "cancelled"], ...],
        Field(max_length=6),
    ] = ()
    policy: Identifier | None = None
    model: Identifier | None = None

    @property
    def hears(self) -> frozenset[str]:
        """See `Trigger`."""
        return frozenset({"run.ended"})

    def advance(self, memory: Memory, moment: Moment) -> tuple[Memory, Outcome]:
        """See `Trigger`."""
        event = moment.event
        if (
            not isinstance(event, RunEnded)
            or event.flow != self.flow
            or event.policy == moment.policy
            or (self.policy is not None and event.policy != self.policy)
            or event.model_name != (self.model or moment.model)
        ):
            return memory, Unconcerned()
        told = f"run {event.trigger_id} of flow {event.flow} ended as {event.outcome}"
        if self.outcomes and event.outcome not in self.outcomes:
            return memory, NotMet(f"{told}, not as {listed(self.outcomes, 'or')}")
        return memory, Met(told, event.id)

    def due_utc(self, memory: Memory) -> datetime | None:
        """See `Trigger`."""
        return None

    def phrase(self, model: str) -> str:
        """See `Trigger`."""
        by = f" of policy {self.policy}" if self.policy else ""
        how = f" as {listed(self.outcomes, 'or')}" if self.outcomes else ""
        return f"flow {self.flow}{by} for model {self.model or model} has ended{how}"

    def as_match(self, model: str) -> EventMatch | None:
        """See `Trigger`: "not of the policy itself" is no match."""
        return None
