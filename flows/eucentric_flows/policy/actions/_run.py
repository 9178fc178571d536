"""Run any flow of the catalogue."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from eucentric_core import Identifier

from ._base import Cause
from ._flow_action import FlowAction

__all__ = ["RunAction"]


class RunAction(FlowAction):
    """Run a registered flow; `eucentric flows ls` lists them with what they take.

    Attributes:
        flow: its name.
    """

    kind: Literal["run"] = "run"
    flow: Identifier

    @property
    def flow_name(self) -> str:
        """See `FlowAction`."""
        return self.flow

    def _about(self, cause: Cause) -> dict[str, JsonValue]:
        # Not every flow is about a model: what it is about stands among the parameters.
        return {}

    def phrase(self, model: str) -> str:
        """See `Action`."""
        return f"flow {self.flow} is run{self._with_parameters()}"
