"""The scale bar of a frame, as SVG in the pixels of the encoded image."""

from __future__ import annotations

from math import floor, log10

__all__ = ["scale_bar_length_m", "scale_bar_svg"]


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
