"""When two images count as registered."""

from __future__ import annotations

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from eucentric_core import FrozenModel

from ._registration import Registration, register

__all__ = ["Matching"]


class Matching(FrozenModel):
    """A registration counts if its normalised cross-correlation is at least `min_ncc` and leads over that
    of every clearly different displacement by `min_lead`. Images are smoothed by `smoothing_px` first.
    """

    smoothing_px: Annotated[float, Field(ge=0, le=20)] = 2.0
    min_ncc: Annotated[float, Field(gt=0, lt=1)] = 0.2
    min_lead: Annotated[float, Field(gt=0, lt=1)] = 0.08

    def register(
        self,
        reference: npt.NDArray[np.generic],
        moving: npt.NDArray[np.generic],
        *,
        expected_px: tuple[float, float],
        search_px: float,
    ) -> tuple[Registration | None, str | None]:
        """What `register` finds, and why it does not count; the reason is None if it does."""
        found = register(
            reference,
            moving,
            expected_px=expected_px,
            search_px=search_px,
            smoothing_px=self.smoothing_px,
        )
        if found is None:
            return None, "no contrast, or no overlap"
        if found.ncc < self.min_ncc:
            return found, f"correlation {found.ncc:.2f} is under {self.min_ncc:g}"
        if found.ncc - found.rival_ncc < self.min_lead:
            return found, f"another displacement fits as well ({found.rival_ncc:.2f} to {found.ncc:.2f})"
        return found, None
