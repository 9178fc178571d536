"""Measure the champion again."""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from ._base import Cause, names_data
from ._flow_action import FlowAction

__all__ = ["EvaluateAction"]


class EvaluateAction(FlowAction):
    """Run the flow `evaluate`, which measures the model in service and reports its figures as events."""

    kind: Literal["evaluate"] = "evaluate"

    @property
    def flow_name(self) -> str:
        """See `FlowAction`."""
        return "evaluate"

    def _about(self, cause: Cause) -> dict[str, JsonValue]:
        # Where the event names no data, the newest data set is measured on.
        return {"model": cause.model, "dataset_id": None if names_data(cause) else cause.dataset_id}

    def phrase(self, model: str) -> str:
        """See `Action`."""
        return f"model {model} is evaluated{self._with_parameters()}"
