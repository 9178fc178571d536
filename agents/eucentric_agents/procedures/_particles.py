"""Round particles of a given size in an image."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from eucentric_core import Frame

from ._extras import needs

__all__ = ["find_particles"]

_Float = npt.NDArray[np.float64]

_SURROUND = 1.0
_PROBE_PX = 0.7


def find_particles(
    frame: Frame, *, diameter_m: float, threshold: float = 0.7, margin_px: int = 0
) -> npt.NDArray[np.float64]:
    """Centres of bright, round, lone particles, (n, 2) rows (y_px, x_px), the most typical first.

    Maxima of the normalised cross-correlation with the projected thickness of a sphere and as much of its
    surroundings again (scikit-image `match_template`: Lewis, Fast Normalized Cross-Correlation, 1995), each
    moved to the vertex of the paraboloid through the maximum and its neighbours. Particles that touch, or
    are of another size, correlate less.

    Args:
        frame: image (ny, nx) with a pixel size.
        diameter_m: typical diameter of the particles.
        threshold: smallest correlation, in (0, 1).
        margin_px: leave out particles closer to the border.

    Raises:
        UnsupportedError: scikit-image is not installed.
        DataFormatError: the frame has no pixel size.
    """
    feature = needs("skimage.feature")
    radius_px = max(1.0, diameter_m / frame.header.pixel_size_m / 2)
    image = np.asarray(frame.array, np.float64)
    template = _sphere(radius_px)
    if min(image.shape) < max(template.shape) or float(np.ptp(image)) == 0.0:
        return np.zeros((0, 2))
    score = feature.match_template(image, template, pad_input=True, mode="edge")
    peaks = feature.peak_local_max(
        score,
        min_distance=max(1, round(radius_px)),
        threshold_abs=threshold,
        exclude_border=max(1, margin_px),
    )
    return np.array([_vertex(score, int(row), int(column)) for row, column in peaks]).reshape(-1, 2)


def _sphere(radius_px: float) -> _Float:
    ndimage = needs("scipy.ndimage")
    half = int(np.ceil(radius_px * (1 + _SURROUND))) + 1
    rows, columns = np.indices((2 * half + 1, 2 * half + 1)) - half
    thickness = np.sqrt(np.maximum(radius_px**2 - rows**2 - columns**2, 0.0))
    return ndimage.gaussian_filter(thickness, _PROBE_PX)


def _vertex(score: _Float, row: int, column: int) -> tuple[float, float]:
    middle = score[row, column]
    found = []
    for place, (before, after) in (
        (row, (score[row - 1, column], score[row + 1, column])),
        (column, (score[row, column - 1], score[row, column + 1])),
    ):
        curvature = before - 2 * middle + after
        found.append(place + (0.5 * (before - after) / curvature if curvature < 0 else 0.0))
    return found[0], found[1]
