"""What the drivers of vendors' interfaces share: lanes with time-outs, verified blanking, checked moves."""

from __future__ import annotations

from ._beam import Blanker
from ._detectors import (
    check_square,
    chosen_detector,
    portable_name,
    refuse_longer_than,
    require_told,
    stream_name,
)
from ._errors import VendorCallError, call_failed, connection_lost
from ._frames import FrameMaker, Shot
from ._imaging import Imaging
from ._import import import_vendor
from ._instrument import URGENT_LIMIT_S, VendorInstrument
from ._lane import Lane, Wire
from ._optics import optics_handlers
from ._options import ArrivalOptions, VendorOptions
from ._parts import BeamPart, CameraPart, Scalar, ScanPart, StagePart, Target, Vector, VendorScope
from ._stage import MovedStage, narrowed, within_bounds

__all__ = [
    "URGENT_LIMIT_S",
    "ArrivalOptions",
    "BeamPart",
    "Blanker",
    "CameraPart",
    "FrameMaker",
    "Imaging",
    "Lane",
    "MovedStage",
    "Scalar",
    "ScanPart",
    "Shot",
    "StagePart",
    "Target",
    "Vector",
    "VendorCallError",
    "VendorInstrument",
    "VendorOptions",
    "VendorScope",
    "Wire",
    "call_failed",
    "check_square",
    "chosen_detector",
    "connection_lost",
    "import_vendor",
    "narrowed",
    "optics_handlers",
    "portable_name",
    "refuse_longer_than",
    "require_told",
    "stream_name",
    "within_bounds",
]
