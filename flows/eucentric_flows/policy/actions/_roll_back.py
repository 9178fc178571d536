"""Go back to the version that was in service before."""

from __future__ import annotations

from typing import Literal

from ._flow_action import FlowAction

__all__ = ["RollBackAction"]


class RollBackAction(FlowAction):
    """Run the flow `rollback`."""

    kind: Literal["roll_back"] = "roll_back"

    @property
    def flow_name(self) -> str:
        """See `FlowAction`."""
        return "rollback"

    def phrase(self, model: str) -> str:
        """See `Action`."""
        return f"model {model} is rolled back to the version before{self._with_parameters()}"
