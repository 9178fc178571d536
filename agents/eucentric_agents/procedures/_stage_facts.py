"""What the stage said about one place, flat, for checkpoints and tables."""

from __future__ import annotations

from typing import Self

from eucentric_core import FrozenModel
from eucentric_core.vocabulary import MoveReport

__all__ = ["StageFacts"]


class StageFacts(FrozenModel):
    """Commanded, reported and, where something measures it, actual position; and the tolerance."""

    commanded_x_m: float
    commanded_y_m: float
    reported_x_m: float
    reported_y_m: float
    actual_x_m: float | None
    actual_y_m: float | None
    tolerance_m: float

    @classmethod
    def of(cls, report: MoveReport) -> Self:
        """The same in a move report."""
        actual = report.actual
        return cls(
            commanded_x_m=report.commanded.x_m,
            commanded_y_m=report.commanded.y_m,
            reported_x_m=report.reported.x_m,
            reported_y_m=report.reported.y_m,
            actual_x_m=None if actual is None else actual.x_m,
            actual_y_m=None if actual is None else actual.y_m,
            tolerance_m=report.tolerance_m,
        )
