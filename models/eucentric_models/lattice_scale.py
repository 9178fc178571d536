"""How large a pixel is, guessed from the frame itself where nobody has recorded it.

Lattice planes of crystals on a low-index zone axis are about a fifth of a nanometre apart: close enough for a
network that takes frames of any magnification to a working size, and by no means a calibration.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .preprocessing import check_frame

USUAL_SPACING_M = 0.2e-9
_LARGEST_SIDE_PX = 1024
_SPACINGS_PX = (3.0, 80.0)
_RINGS = 240
_STRONG = 0.25
_CLEAR = 30.0  # over the median of its ring; white noise exceeds it once in 1e9 values


def strongest_spacing_px(frame: NDArray[np.generic]) -> float | None:
    """Distance of the lattice planes with a clear peak in the power spectrum; None when there is none.

    Each peak is compared with the median of the ring around the origin on which it lies, so neither the slow
    background nor the fall of the spectrum towards high frequencies is taken for a lattice.

    Args:
        frame: (ny, nx), any real dtype; the middle 1024 pixels of larger ones are looked at.

    Raises:
        InvalidFrameError: the frame is not a finite real 2D array.
    """
    image = check_frame(frame)
    side = min(*image.shape, _LARGEST_SIDE_PX)
    if side < 4 * _SPACINGS_PX[0]:
        return None
    top, left = ((length - side) // 2 for length in image.shape)
    image = image[top : top + side, left : left + side]
    window = np.multiply.outer(np.hanning(side), np.hanning(side))
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :])
    inside = (frequency > 1 / min(_SPACINGS_PX[1], side / 4)) & (frequency < 1 / _SPACINGS_PX[0])
    if not inside.any():
        return None
    frequency, power = frequency[inside], power[inside]
    edges = np.geomspace(frequency.min(), frequency.max() * (1 + 1e-9), _RINGS + 1)
    ring = np.digitize(frequency, edges) - 1
    order = np.argsort(ring, kind="stable")
    clearness = np.zeros(len(power))
    for rows in np.split(order, np.flatnonzero(np.diff(ring[order])) + 1):
        if len(rows) >= 8:
            clearness[rows] = power[rows] / max(float(np.median(power[rows])), 1e-30)
    clear = clearness > _CLEAR
    if not clear.any():
        return None
    # Others may be as strong and overtones: the longest spacing among them is meant.
    strong = clear & (power > _STRONG * float(power[clear].max()))
    return float(1 / frequency[strong].min())


def guessed_pixel_size_m(frame: NDArray[np.generic]) -> float | None:
    """Pixel size at which the strongest lattice planes would be 0.2 nm apart; None when no lattice is seen.

    Raises:
        InvalidFrameError: the frame is not a finite real 2D array.
    """
    spacing_px = strongest_spacing_px(frame)
    return None if spacing_px is None else USUAL_SPACING_M / spacing_px
