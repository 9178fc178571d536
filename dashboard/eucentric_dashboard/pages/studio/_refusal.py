"""Labels of which no map came, and whether they are tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

from eucentric_core import EucentricError, ServiceUnavailableError

from ._desk import Work

__all__ = ["Refusal"]

_RETRY_S = 10.0
"""A hub that was too busy may be less so now."""


@dataclass(frozen=True)
class Refusal:
    """Labels of which no map came, and until when (monotonic seconds) they are not tried again."""

    work: Work
    until_s: float

    @classmethod
    def of(cls, work: Work, error: EucentricError, *, now_s: float) -> Self:
        """What these labels cannot give is not tried again until something else is labelled."""
        passes = isinstance(error, ServiceUnavailableError)
        return cls(work, now_s + _RETRY_S if passes else math.inf)

    @property
    def words(self) -> str:
        """What is said in place of the map."""
        return "no map" if math.isinf(self.until_s) else f"no map; tried again in {_RETRY_S:.0f} s"

    def holds_for(self, work: Work, *, now_s: float) -> bool:
        """Whether these labels are left alone for now."""
        return work == self.work and now_s < self.until_s
