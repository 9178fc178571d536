"""DAC counts and what they mean: a lens or deflector knows nothing of metres without a calibration."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from eucentric_core import CommandRefusedError, FrozenModel

__all__ = ["CountVector", "Counts"]

MAX_COUNTS = 65535

_Count = Annotated[int, Field(ge=0, le=MAX_COUNTS)]
_PerCount = Annotated[float, Field(ge=-1e-3, le=1e-3)]


class Counts(FrozenModel):
    """A control of one DAC: `value = m_per_count * (counts - zero_counts)`, in metres.

    `lowest` and `highest` bound what may be sent.
    """

    zero_counts: _Count
    m_per_count: _PerCount
    lowest: _Count = 0
    highest: _Count = MAX_COUNTS

    @model_validator(mode="after")
    def _can_be_inverted(self) -> Self:
        if self.m_per_count == 0:
            raise ValueError("m_per_count is 0: no counts would change anything")
        return self

    def metres(self, counts: int) -> float:
        """The value that a reading stands for."""
        return self.m_per_count * (counts - self.zero_counts)

    def counts(self, value_m: float) -> int:
        """The counts to send.

        Raises:
            CommandRefusedError: they are outside the range.
        """
        return _within(
            round(self.zero_counts + value_m / self.m_per_count), self.lowest, self.highest, value_m
        )


class CountVector(FrozenModel):
    """A pair of DACs: `(x, y) = m_per_count @ (counts - zero_counts)`, in metres.

    The matrix `((xx, xy), (yx, yy))` holds what deflectors do: they turn and shear.
    """

    zero_counts: tuple[_Count, _Count]
    m_per_count: tuple[tuple[_PerCount, _PerCount], tuple[_PerCount, _PerCount]]
    lowest: _Count = 0
    highest: _Count = MAX_COUNTS

    @property
    def determinant(self) -> float:
        """Determinant of the matrix."""
        (xx, xy), (yx, yy) = self.m_per_count
        return xx * yy - xy * yx

    @model_validator(mode="after")
    def _can_be_inverted(self) -> Self:
        if self.determinant == 0:
            raise ValueError("m_per_count has no inverse: one direction could not be reached")
        return self

    def metres(self, counts: tuple[int, int]) -> tuple[float, float]:
        """The vector that a reading stands for."""
        (xx, xy), (yx, yy) = self.m_per_count
        u, v = counts[0] - self.zero_counts[0], counts[1] - self.zero_counts[1]
        return xx * u + xy * v, yx * u + yy * v

    def counts(self, value_m: tuple[float, float]) -> tuple[int, int]:
        """The counts to send.

        Raises:
            CommandRefusedError: they are outside the range.
        """
        (xx, xy), (yx, yy) = self.m_per_count
        x, y = value_m
        u = (yy * x - xy * y) / self.determinant
        v = (xx * y - yx * x) / self.determinant
        first, second = round(self.zero_counts[0] + u), round(self.zero_counts[1] + v)
        return (
            _within(first, self.lowest, self.highest, x),
            _within(second, self.lowest, self.highest, y),
        )


def _within(counts: int, lowest: int, highest: int, value_m: float) -> int:
    if not lowest <= counts <= highest:
        raise CommandRefusedError(
            f"{value_m:.3e} m would need {counts} counts, and {lowest} to {highest} are allowed.",
            safe="nothing was sent.",
            next_step="choose a smaller value.",
        )
    return counts
