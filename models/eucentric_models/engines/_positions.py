"""Places of an image as columns of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._protocols import Column

__all__ = ["position_columns"]


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
