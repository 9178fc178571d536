"""The digital twin: a SIMULATED scanning transmission electron microscope over a two-dimensional crystal."""

from __future__ import annotations

from ._column import Column, ColumnState
from ._options import ColumnOptions, DetectorOptions, SpecimenOptions, StageOptions, TwinOptions
from ._specimen import Specimen
from ._stage import TwinStage, play
from ._twin import DigitalTwin

__all__ = [
    "Column",
    "ColumnOptions",
    "ColumnState",
    "DetectorOptions",
    "DigitalTwin",
    "Specimen",
    "SpecimenOptions",
    "StageOptions",
    "TwinOptions",
    "TwinStage",
    "play",
]
