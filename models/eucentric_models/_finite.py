"""Numbers from outside as networks and fits take them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["finite_plane"]


def finite_plane(
    given: NDArray[np.generic], *, axes: str, refuse: Callable[[str], Exception]
) -> NDArray[np.float32]:
    """An array of two axes as float32, in memory of the caller's own.

    Args:
        given: any real dtype.
        axes: what the axes are, for the reason: `(ny, nx)`.
        refuse: makes the error of a reason.

    Raises:
        Exception: what `refuse` makes: it is not 2D, is empty, complex, or holds NaN or infinity.
    """
    array = np.asarray(given)
    if array.ndim != 2 or array.size == 0:
        raise refuse(f"it has the shape {array.shape}, not {axes}")
    if array.dtype.kind not in "buif":
        raise refuse(f"its numbers are {array.dtype}")
    values = array.astype(np.float32)
    if not np.isfinite(values).all():
        raise refuse("it holds NaN or infinity")
    return values
