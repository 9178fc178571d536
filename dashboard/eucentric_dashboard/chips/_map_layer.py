"""A map of chips as it is drawn: for each chip a colour and how strong it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from ._classes import CLASS_PALETTE, NONE_COLOUR, LabelClass
from ._computation import MappedFrame

__all__ = ["MapLayer", "colours_of"]

_LEAST_STRENGTH = 0.35
"""Of a chip that is of none of its classes for sure: still to be seen."""


def colours_of(names: Sequence[str], classes: Sequence[LabelClass]) -> tuple[str, ...]:
    """Colours of the names of a map: those of the studio, or of the palette; grey for none of these."""
    known = {one.name: one.colour for one in classes}
    return tuple(
        NONE_COLOUR if index == len(names) - 1 else known.get(name, CLASS_PALETTE[index % len(CLASS_PALETTE)])
        for index, name in enumerate(names)
    )


@dataclass(frozen=True)
class MapLayer:
    """What the browser draws.

    Attributes:
        version: changes with what is drawn.
        side_px: of a chip.
        corner_px: top and left of the first chip.
        columns: of the grid.
        ids: (n,) index into `colours`, row by row; -1 is not drawn.
        strengths: (n,) 0 to 1.
        colours: as `#rrggbb`.
        names: of the colours, for the legend.
    """

    version: str
    side_px: int
    corner_px: tuple[int, int]
    columns: int
    ids: npt.NDArray[np.integer]
    strengths: npt.NDArray[np.floating]
    colours: tuple[str, ...]
    names: tuple[str, ...]

    @classmethod
    def of_classes(cls, mapped: MappedFrame, classes: Sequence[LabelClass]) -> Self:
        """Classes, the stronger the surer."""
        return cls(
            version=mapped.digest,
            side_px=mapped.side_px,
            corner_px=mapped.corner_px,
            columns=mapped.columns,
            ids=mapped.class_id,
            strengths=_LEAST_STRENGTH + (1 - _LEAST_STRENGTH) * np.clip(mapped.confidence, 0, 1),
            colours=colours_of(mapped.classes, classes),
            names=mapped.classes,
        )

    def props(self) -> dict[str, Any]:
        """As the canvas takes it."""
        return {
            "version": self.version,
            "side": self.side_px,
            "top": self.corner_px[0],
            "left": self.corner_px[1],
            "columns": self.columns,
            "ids": self.ids.tolist(),
            "strengths": np.rint(255 * np.clip(self.strengths, 0, 1)).astype(int).tolist(),
            "colours": list(self.colours),
            "names": list(self.names),
        }
