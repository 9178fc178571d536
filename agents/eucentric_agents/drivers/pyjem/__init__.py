"""JEOL microscopes through PyJEM. Written to its published call names; untested on hardware."""

from __future__ import annotations

from ._counts import Counts, CountVector
from ._driver import open_pyjem
from ._options import FieldOfViewRecord, PyjemCalibrations, PyjemOptions

__all__ = [
    "CountVector",
    "Counts",
    "FieldOfViewRecord",
    "PyjemCalibrations",
    "PyjemOptions",
    "open_pyjem",
]
