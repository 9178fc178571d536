"""What was found at places of an image: columns of atoms, or chips of it with their classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from ..result_columns import Column, position_columns

__all__ = ["Findings"]


@dataclass(frozen=True, slots=True)
class Findings:
    """Places of an image with classes.

    Attributes:
        positions_px: (n, 2) float32 `[y, x]`; pixel centres have integer coordinates. The middle of a chip.
        class_id: (n,) integers, indices into `classes`.
        confidence: (n,) float32 in [0, 1].
        uncertainty: (n,) float32, in the same unit as the confidence.
        classes: their names.
        chip_px: (height, width) of the chips; None for points.
        drift_score: see `EngineResult`.
        unsure: see `EngineResult`.
        extras: further columns by name, each of length n.
    """

    positions_px: NDArray[np.float32]
    class_id: NDArray[np.integer]
    confidence: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    classes: tuple[str, ...]
    chip_px: tuple[int, int] | None = None
    drift_score: float | None = None
    unsure: tuple[str, ...] = ()
    extras: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        lengths = {len(self.positions_px), len(self.class_id), len(self.confidence), len(self.uncertainty)}
        lengths |= {len(values) for values in self.extras.values()}
        if len(lengths) != 1 or self.positions_px.shape[1:] != (2,):
            raise ValueError("positions, classes, confidences, uncertainties and extras differ in length")

    def __len__(self) -> int:
        return len(self.class_id)

    def columns(self, pixel_size_m: float | None) -> dict[str, Column]:
        """`y_px, x_px`, with a calibration `y_nm, x_nm`, then `class, confidence, uncertainty`, extras."""
        table = position_columns(self.positions_px, pixel_size_m)
        table["class"] = [self.classes[index] for index in self.class_id]
        return table | {"confidence": self.confidence, "uncertainty": self.uncertainty} | dict(self.extras)

    def summary(self) -> dict[str, JsonValue]:
        """Counts by class, mean confidence and uncertainty (None where nothing was found)."""
        counts = np.bincount(self.class_id, minlength=len(self.classes))
        facts: dict[str, JsonValue] = {
            "count": len(self),
            "counts": {name: int(counts[index]) for index, name in enumerate(self.classes)},
            "mean_confidence": float(self.confidence.mean()) if len(self) else None,
            "mean_uncertainty": float(self.uncertainty.mean()) if len(self) else None,
        }
        if self.chip_px is not None:
            facts["chip_px"] = list(self.chip_px)
        return facts
