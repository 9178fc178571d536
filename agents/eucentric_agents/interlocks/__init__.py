"""Interlocks at the agent: what keeps commands from harming specimen, stage and detectors."""

from ._file import defaults_for, read_limits
from ._finding import InterlockTrip
from ._interlocks import Interlocks, InterlockStatus
from ._limits import (
    BeamLimits,
    DetectorLimits,
    DoseLimits,
    KeepOut,
    Limits,
    MoveRateLimits,
    StageEnvelope,
)
from ._tightening import tightened

__all__ = [
    "BeamLimits",
    "DetectorLimits",
    "DoseLimits",
    "InterlockStatus",
    "InterlockTrip",
    "Interlocks",
    "KeepOut",
    "Limits",
    "MoveRateLimits",
    "StageEnvelope",
    "defaults_for",
    "read_limits",
    "tightened",
]
