"""What is drawn over a frame, as SVG in the pixels of the encoded image: detections and the scale bar."""

from __future__ import annotations

from math import floor, log10

import numpy as np
import numpy.typing as npt

from ._palette import colour_of

__all__ = ["MAX_DRAWN", "detections_svg", "scale_bar_length_m", "scale_bar_svg"]

MAX_DRAWN = 4000
"""Most circles in one overlay; the surest detections are drawn."""

_RING_RADIUS_M = 75e-12
_RING_RADIUS_WITHOUT_SCALE_PX = 6.0


def detections_svg(
    rows: npt.NDArray[np.float32], *, pixel_size_m: float | None, width_px: int, factor: int = 1
) -> str:
    """One group of circles per class.

    Args:
        rows: `(n, 4)`, columns `DETECTION_COLUMNS`; pixel centres have integer coordinates.
        pixel_size_m: of the frame, for a circle of the size of an atomic column.
        width_px: of the encoded image.
        factor: frame pixels per encoded pixel.
    """
    if len(rows) > MAX_DRAWN:
        rows = rows[np.argsort(-rows[:, 3], kind="stable")[:MAX_DRAWN]]
    radius = _RING_RADIUS_WITHOUT_SCALE_PX if pixel_size_m is None else _RING_RADIUS_M / pixel_size_m / factor
    radius = min(max(radius, 2.0), width_px / 40)
    groups = []
    for class_id in np.unique(rows[:, 2].astype(int)):
        places = (rows[rows[:, 2].astype(int) == class_id, :2] + 0.5) / factor
        circles = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"/>' for y, x in places)
        groups.append(f'<g stroke="{colour_of(int(class_id))}">{circles}</g>')
    return f'<g fill="none" stroke-width="{max(1.0, width_px / 320):.2f}">{"".join(groups)}</g>'


def scale_bar_length_m(field_of_view_m: float) -> float:
    """The longest of 1, 2 or 5 times a power of ten that is at most 30 % of the field of view."""
    limit = 0.3 * field_of_view_m
    decade = 10.0 ** floor(log10(limit))
    return max(step * decade for step in (1, 2, 5) if step * decade <= limit * (1 + 1e-9))


def scale_bar_svg(*, pixel_size_m: float, width_px: int, height_px: int, factor: int = 1) -> str:
    """A scale bar with its length in nm, in the lower left corner of the encoded image."""
    length_m = scale_bar_length_m(pixel_size_m * factor * width_px)
    length = length_m / (pixel_size_m * factor)
    unit = width_px / 100
    left, bottom = 3 * unit, height_px - 3 * unit
    return (
        f'<g><rect x="{left - unit:.2f}" y="{bottom - 7.4 * unit:.2f}" width="{length + 2 * unit:.2f}" '
        f'height="{8.4 * unit:.2f}" rx="{unit:.2f}" fill="#000" fill-opacity="0.55"/>'
        f'<rect x="{left:.2f}" y="{bottom - 1.2 * unit:.2f}" width="{length:.2f}" height="{1.2 * unit:.2f}" '
        f'fill="#fff"/><text x="{left + length / 2:.2f}" y="{bottom - 2.6 * unit:.2f}" fill="#fff" '
        f'font-size="{4 * unit:.2f}" text-anchor="middle" font-family="sans-serif">'
        f"{length_m * 1e9:g} nm</text></g>"
    )
