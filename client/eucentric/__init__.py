"""Eucentric's front door: `import eucentric` in a notebook, `eucentric` in a terminal.

Example:
    >>> import eucentric  # doctest: +SKIP
    >>> with eucentric.connect("titan") as scope:  # doctest: +SKIP
    ...     with scope.control(reason="align"):
    ...         scope.move_stage(x_m=1e-6)
"""

from __future__ import annotations

from eucentric_core import (
    BusyError,
    Capabilities,
    CommandRefusedError,
    EucentricError,
    Frame,
    FrameHeader,
    InterlockError,
    LeaseError,
    LeaseStatus,
    MoveFailedError,
    NotAuthorisedError,
    ResultHeader,
    ServiceUnavailableError,
    Settings,
    SteeringClient,
    TransportError,
    UnsupportedError,
    load_settings,
    paint_with,
)
from eucentric_core.transport import StreamMessage, StreamSubscriber
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsScanRotation,
    OpticsStigmator,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SessionStart,
    SessionStop,
    SimulationDrift,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageMoveBy,
    StageStop,
    StageTilt,
    StateGet,
)

from .display import Measurement, html_for, plot_search
from .progress import AcquisitionProgress, RunProgress, follow
from .scope import AsyncScope, Scope, connect, connect_async

__all__ = [
    "AcquisitionProgress",
    "AsyncScope",
    "AutoFocus",
    "BeamBlank",
    "BeamPark",
    "BeamShift",
    "BeamUnblank",
    "BusyError",
    "CameraAcquire",
    "Capabilities",
    "ColumnValve",
    "CommandRefusedError",
    "EucentricError",
    "Frame",
    "FrameHeader",
    "InterlockError",
    "LeaseError",
    "LeaseStatus",
    "Measurement",
    "MoveFailedError",
    "NotAuthorisedError",
    "OpticsDefocus",
    "OpticsFieldOfView",
    "OpticsScanRotation",
    "OpticsStigmator",
    "ResultHeader",
    "RunProgress",
    "ScanAbort",
    "ScanAcquire",
    "ScanStream",
    "Scope",
    "ServiceUnavailableError",
    "SessionStart",
    "SessionStop",
    "Settings",
    "SimulationDrift",
    "SpectrumAcquire",
    "StageGet",
    "StageMove",
    "StageMoveBy",
    "StageStop",
    "StageTilt",
    "StateGet",
    "SteeringClient",
    "StreamMessage",
    "StreamSubscriber",
    "TransportError",
    "UnsupportedError",
    "connect",
    "connect_async",
    "follow",
    "load_settings",
    "plot_search",
]

# In a notebook everything of this project shows itself.
paint_with(html_for)
