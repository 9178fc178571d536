"""What all actions share that run a flow with a few parameters."""

from __future__ import annotations

from abc import abstractmethod

from pydantic import JsonValue

from ._base import Cause, FlowOrder, TrainsNothing

__all__ = ["FlowAction"]


class FlowAction(TrainsNothing):
    """Runs one flow of the catalogue.

    Attributes:
        parameters: fields of the flow's request, beside trigger, policy and event.
    """

    parameters: dict[str, JsonValue] = {}

    @property
    @abstractmethod
    def flow_name(self) -> str:
        """Which flow."""

    @property
    def begins_a_run(self) -> bool:
        """See `Action`."""
        return True

    def order(self, cause: Cause) -> FlowOrder:
        """See `Action`."""
        event = None if cause.event is None else cause.event.model_dump(mode="json")
        named: dict[str, JsonValue] = {"trigger_id": cause.trigger_id, "policy": cause.policy, "event": event}
        return FlowOrder(flow=self.flow_name, request={**self._about(cause), **self.parameters, **named})

    def _about(self, cause: Cause) -> dict[str, JsonValue]:
        return {"model": cause.model}

    def _with_parameters(self) -> str:
        told = ", ".join(f"{name} {value}" for name, value in sorted(self.parameters.items()))
        return f" ({told})" if told else ""
