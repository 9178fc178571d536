"""What came of a flight check."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eucentric_core import ErrorReport, FrozenModel, UtcDatetime

from ._journey import Stage

__all__ = ["FlightCheckReport"]


class FlightCheckReport(FrozenModel):
    """The last stage a test data set has passed, when it passed each, and what is wrong if it is stuck.

    `passed_s` counts from the start of the check. The check is over when `goal` is reached: where the agent
    ships nowhere, when the data set is sealed.
    """

    dataset_id: str
    started_utc: UtcDatetime
    reached: Stage | None
    passed_s: dict[Stage, Annotated[float, Field(ge=0)]]
    goal: Stage
    error: ErrorReport | None = None

    @property
    def passed(self) -> bool:
        """Whether it came all the way."""
        return self.error is None

    @property
    def took_s(self) -> float:
        """From the start to the last stage passed."""
        return max(self.passed_s.values(), default=0.0)
