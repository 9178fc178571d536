"""The edge's answer to a live frame as a map over it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .._picture import Picture
from ._classes import LabelClass
from ._grid import Grid
from ._map_layer import MapLayer, colours_of

__all__ = ["AnswerLayer", "answer_layer", "awaits_map", "chip_grid"]

NONE_OF_THESE = "none of these"
"""As few-shot models call what is of no class; known here without them."""


@dataclass(frozen=True)
class AnswerLayer:
    """A map of chips, as the edge sent it.

    Attributes:
        layer: to draw.
        grid: of the chips.
    """

    layer: MapLayer
    grid: Grid


def answer_layer(picture: Picture, classes: tuple[LabelClass, ...]) -> AnswerLayer | None:
    """The map of a picture; None where the edge has sent none of chips.

    Args:
        picture: of the hub.
        classes: of the studio, for their colours.
    """
    rows, found, header, grid = picture.rows, picture.class_map, picture.class_map_header, chip_grid(picture)
    if rows is None or found is None or header is None or grid is None:
        return None
    return AnswerLayer(
        MapLayer(
            version=f"{header.session}-{header.sequence}-v{header.model_version}-{'|'.join(header.classes)}",
            side_px=grid.side_px,
            corner_px=grid.offset_px,
            columns=found.shape[1],
            ids=found.ravel(),
            # Rows of detections are in the order of the chips.
            strengths=0.35 + 0.65 * np.clip(rows[:, 3], 0, 1),
            colours=colours_of(header.classes, classes),
            names=tuple(header.classes),
        ),
        grid,
    )


def awaits_map(picture: Picture) -> bool:
    """Whether the answer is about chips, and their map is still on its way."""
    answer = picture.answer
    return answer is not None and answer.classes[-1:] == (NONE_OF_THESE,) and chip_grid(picture) is None


def chip_grid(picture: Picture) -> Grid | None:
    """The chips that the edge's answer is about; None where it is about something else, or has not come."""
    rows, found = picture.rows, picture.class_map
    if rows is None or found is None or found.ndim != 2 or not found.size or len(rows) != found.size:
        return None
    ny, nx = picture.frame.array.shape
    side, top, left = _chips(rows, found.shape)
    return Grid((ny, nx), side, (top, left), picture.pixel_size_m)


def _chips(rows: npt.NDArray[np.float32], shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Side of a chip, top and left of the first, from the middles of the chips."""
    middles = rows[:, :2].reshape(*shape, 2)
    across = middles[0, 1, 1] - middles[0, 0, 1] if shape[1] > 1 else 2 * middles[0, 0, 1] + 1
    down = middles[1, 0, 0] - middles[0, 0, 0] if shape[0] > 1 else across
    side = max(1, round(float(min(across, down))))
    # Pixel centres have integer coordinates.
    top, left = (round(float(middles[0, 0, axis]) - (side - 1) / 2) for axis in (0, 1))
    return side, max(0, top), max(0, left)
