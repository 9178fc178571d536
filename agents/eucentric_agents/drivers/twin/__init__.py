"""The digital twin: a SIMULATED scanning transmission electron microscope over a lattice or a landscape."""

from __future__ import annotations

from ._axes import play
from ._column import Column, ColumnState
from ._faults import FaultOptions, Faults
from ._lattice import Lattice
from ._options import ColumnOptions, DetectorOptions, SpecimenOptions, StageOptions, TwinOptions
from ._specimen import Specimen
from ._stage import TwinStage
from ._terrain import Terrain
from ._twin import DigitalTwin

__all__ = [
    "Column",
    "ColumnOptions",
    "ColumnState",
    "DetectorOptions",
    "DigitalTwin",
    "FaultOptions",
    "Faults",
    "Lattice",
    "Specimen",
    "SpecimenOptions",
    "StageOptions",
    "Terrain",
    "TwinOptions",
    "TwinStage",
    "play",
]
