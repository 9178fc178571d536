"""What every kind of action does. A new kind is a module beside this one and a name in `AnyAction`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import Field, JsonValue

from eucentric_core import AnyEvent, FrozenModel, Identifier

__all__ = ["Action", "Cause", "FlowOrder", "NotifyOrder", "Order", "TrainsNothing", "names_data"]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why an action is carried out.

    Args:
        trigger_id: names the run; the same is never carried out twice.
        policy: which one acts.
        model: which model it is about.
        reason: why, as a clause.
        event: what the trigger was met by; None for a scheduled time.
        dataset_id: the newest data set that is known, for an event that names none.
    """

    trigger_id: str
    policy: str
    model: str
    reason: str
    event: AnyEvent | None = None
    dataset_id: str | None = None


class TrainsNothing(FrozenModel):
    """What actions share that use nothing of a budget for trainings."""

    @property
    def nodes(self) -> int:
        """See `Action`."""
        return 1

    @property
    def node_hours_at_most(self) -> float:
        """See `Action`."""
        return 0.0


def names_data(cause: Cause) -> bool:
    """Whether the event says which data it is about."""
    return any(getattr(cause.event, name, None) is not None for name in ("session", "dataset_id"))


class FlowOrder(FrozenModel):
    """Run a registered flow. `request` is what the flow takes, plain JSON."""

    kind: Literal["flow"] = "flow"
    flow: Identifier
    request: dict[str, JsonValue]


class NotifyOrder(FrozenModel):
    """Tell people, through notification blocks of Prefect."""

    kind: Literal["notify"] = "notify"
    blocks: tuple[str, ...]
    subject: str
    body: str


Order = Annotated[FlowOrder | NotifyOrder, Field(discriminator="kind")]


class Action(Protocol):
    """What a policy does: a frozen model and pure functions of it."""

    @property
    def begins_a_run(self) -> bool:
        """Whether a run of a flow comes of it."""
        ...

    @property
    def nodes(self) -> int:
        """Nodes that its training may occupy at a time."""
        ...

    @property
    def node_hours_at_most(self) -> float:
        """What one run may use of a budget, at its longest."""
        ...

    def order(self, cause: Cause) -> Order:
        """What has to be done now.

        Raises:
            PolicyError: the cause does not say what is needed.
        """
        ...

    def phrase(self, model: str) -> str:
        """What is done, as one or more clauses."""
        ...
