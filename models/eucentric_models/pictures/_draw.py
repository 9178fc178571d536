"""What an engine found, drawn over the image it was found in."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..engines import EngineResult, Findings
from ..surrogate import PropertyMap
from ._canvas import COLOURS, Canvas

__all__ = ["draw_result"]

_LARGEST_RADIUS_PX = 24.0


def draw_result(
    image: NDArray[np.generic], result: EngineResult, *, pixel_size_m: float | None, caption: str
) -> Image.Image:
    """The image with what was found in it.

    Columns are rings of about a third of the distance to their neighbours, chips are tinted, the stronger
    the surer; a predicted property is a tint from violet to yellow; of a result of another kind only the
    image is shown.

    Args:
        image: (ny, nx) raw values that were analysed.
        result: what the engine answered.
        pixel_size_m: for the scale bar; None draws none.
        caption: one line above the image.

    Raises:
        InvalidFrameError: the image is not 2D, is empty, complex, or holds NaN or infinity.
    """
    canvas = Canvas(image)
    legend: list[tuple[str, str]] = []
    if isinstance(result, Findings):
        if result.chip_px is None:
            _rings(canvas, result, image.shape)
        else:
            _chips(canvas, result, result.chip_px)
        counts = np.bincount(result.class_id, minlength=len(result.classes))
        legend = [
            (f"{name} ({counts[index]})", _colour(index))
            for index, name in enumerate(result.classes)
            if counts[index] or len(result.classes) <= len(COLOURS)
        ]
    elif isinstance(result, PropertyMap):
        legend = _property(canvas, result)
    if pixel_size_m is not None:
        canvas.scale_bar(pixel_size_m)
    return canvas.framed(caption, legend)


def _rings(canvas: Canvas, found: Findings, shape: tuple[int, ...]) -> None:
    ny, nx = shape
    radius = min(sqrt(ny * nx / max(len(found), 1)) / 3, _LARGEST_RADIUS_PX)
    for (y, x), class_id in zip(found.positions_px.tolist(), found.class_id.tolist(), strict=True):
        canvas.ring(y, x, radius, _colour(class_id))


def _chips(canvas: Canvas, found: Findings, chip_px: tuple[int, int]) -> None:
    half_y, half_x = chip_px[0] / 2, chip_px[1] / 2
    canvas.tint(
        [
            ((y + 0.5 - half_y, x + 0.5 - half_x, y + 0.5 + half_y, x + 0.5 + half_x), _colour(class_id),
             0.1 + 0.3 * confidence)
            for (y, x), class_id, confidence in zip(
                found.positions_px.tolist(), found.class_id.tolist(), found.confidence.tolist(), strict=True
            )
        ]
    )  # fmt: skip


def _property(canvas: Canvas, found: PropertyMap) -> list[tuple[str, str]]:
    low, high = float(found.value.min()), float(found.value.max())
    share = (found.value - low) / max(high - low, 1e-12)
    half = found.stride_px / 2
    canvas.tint(
        [
            ((y + 0.5 - half, x + 0.5 - half, y + 0.5 + half, x + 0.5 + half), _shade(part), 0.45)
            for (y, x), part in zip(found.positions_px.tolist(), share.tolist(), strict=True)
        ]
    )
    return [(f"{found.name} {low:.3g}", _shade(0.0)), (f"{high:.3g}", _shade(1.0))]


def _shade(share: float) -> str:
    # The ends and the middle of viridis, which is even to the eye and readable without colour.
    stops = np.array([[68, 1, 84], [33, 145, 140], [253, 231, 37]])
    red, green, blue = (int(np.interp(share, [0, 0.5, 1], stops[:, i])) for i in range(3))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _colour(class_id: int) -> str:
    return COLOURS[class_id % len(COLOURS)]
