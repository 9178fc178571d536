"""Results as columns of a table."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Column", "position_columns"]

Column = Sequence[str] | NDArray[np.generic]
"""A column of a table, one value a row."""


def position_columns(positions_px: NDArray[np.generic], pixel_size_m: float | None) -> dict[str, Column]:
    """`y_px, x_px`, and with a calibration `y_nm, x_nm`.

    Args:
        positions_px: (n, 2) `[y, x]`.
        pixel_size_m: of the image, None if nobody knows.
    """
    y, x = positions_px.T
    table: dict[str, Column] = {"y_px": y, "x_px": x}
    if pixel_size_m is not None:
        scale_nm = pixel_size_m * 1e9
        table |= {"y_nm": y.astype(np.float64) * scale_nm, "x_nm": x.astype(np.float64) * scale_nm}
    return table
