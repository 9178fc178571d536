"""Eucentric's front door: `import eucentric` in a notebook, `eucentric` in a terminal.

Example:
    >>> import eucentric  # doctest: +SKIP
    >>> with eucentric.connect("127.0.0.1", 4310, client="alice") as scope:  # doctest: +SKIP
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
    LeaseError,
    LeaseStatus,
    ResultHeader,
    ServiceUnavailableError,
    Settings,
    SteeringClient,
    TransportError,
    UnsupportedError,
    connect,
    load_settings,
)
from eucentric_core.transport import StreamMessage, StreamSubscriber
from eucentric_core.vocabulary import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamUnblank,
    CameraAcquire,
    ColumnValve,
    OpticsDefocus,
    OpticsFieldOfView,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SessionStart,
    SessionStop,
    SimulationDrift,
    SpectrumAcquire,
    StageGet,
    StageMove,
    StageStop,
    StageTilt,
    StateGet,
)

__all__ = [
    "AutoFocus",
    "BeamBlank",
    "BeamPark",
    "BeamUnblank",
    "BusyError",
    "CameraAcquire",
    "Capabilities",
    "ColumnValve",
    "CommandRefusedError",
    "EucentricError",
    "Frame",
    "FrameHeader",
    "LeaseError",
    "LeaseStatus",
    "OpticsDefocus",
    "OpticsFieldOfView",
    "ResultHeader",
    "ScanAbort",
    "ScanAcquire",
    "ScanStream",
    "ServiceUnavailableError",
    "SessionStart",
    "SessionStop",
    "Settings",
    "SimulationDrift",
    "SpectrumAcquire",
    "StageGet",
    "StageMove",
    "StageStop",
    "StageTilt",
    "StateGet",
    "SteeringClient",
    "StreamMessage",
    "StreamSubscriber",
    "TransportError",
    "UnsupportedError",
    "connect",
    "load_settings",
]
