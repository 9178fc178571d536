"""Put a registered version in service."""

from __future__ import annotations

from typing import Literal

from ._flow_action import FlowAction

__all__ = ["PromoteAction"]


class PromoteAction(FlowAction):
    """Run the flow `publish`, which promotes a registered version, releases and installs it.

    Without a `version` among the parameters it is the challenger.
    """

    kind: Literal["promote"] = "promote"

    @property
    def flow_name(self) -> str:
        """See `FlowAction`."""
        return "publish"

    def phrase(self, model: str) -> str:
        """See `Action`."""
        return f"a registered version of model {model} is promoted and installed{self._with_parameters()}"
