"""The hyper-language: one frozen command model per primitive, the same for every vendor.

Example:
    >>> parse_command('{"verb": "stage.move", "x_m": 1e-6}')
    StageMove(verb='stage.move', x_m=1e-06, y_m=None, z_m=None)
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, TypeAdapter

from ._acquisition import (
    CameraAcquire,
    FrameReference,
    ScanAbort,
    ScanAcquire,
    ScanStream,
    SpectrumAcquire,
    StreamReport,
)
from ._base import Command, CommandClass, CommandResult, Done
from ._column import (
    AutoFocus,
    BeamBlank,
    BeamPark,
    BeamShift,
    BeamUnblank,
    ColumnValve,
    OpticsDefocus,
    OpticsFieldOfView,
    OpticsReport,
    OpticsScanRotation,
    OpticsStigmator,
    VectorReport,
)
from ._session import InstrumentState, SessionStart, SessionStop, SimulationDrift, StateGet
from ._stage import MoveReport, StageGet, StageMove, StageMoveBy, StageStop, StageTilt

__all__ = [
    "COMMANDS",
    "AnyCommand",
    "AutoFocus",
    "BeamBlank",
    "BeamPark",
    "BeamShift",
    "BeamUnblank",
    "CameraAcquire",
    "ColumnValve",
    "Command",
    "CommandClass",
    "CommandResult",
    "Done",
    "FrameReference",
    "InstrumentState",
    "MoveReport",
    "OpticsDefocus",
    "OpticsFieldOfView",
    "OpticsReport",
    "OpticsScanRotation",
    "OpticsStigmator",
    "ScanAbort",
    "ScanAcquire",
    "ScanStream",
    "SessionStart",
    "SessionStop",
    "SimulationDrift",
    "SpectrumAcquire",
    "StageGet",
    "StageMove",
    "StageMoveBy",
    "StageStop",
    "StageTilt",
    "StateGet",
    "StreamReport",
    "VectorReport",
    "parse_command",
]

AnyCommand = Annotated[
    StateGet
    | SessionStart
    | SessionStop
    | StageGet
    | StageMove
    | StageMoveBy
    | StageTilt
    | StageStop
    | BeamBlank
    | BeamUnblank
    | BeamPark
    | BeamShift
    | OpticsDefocus
    | OpticsFieldOfView
    | OpticsStigmator
    | OpticsScanRotation
    | AutoFocus
    | ColumnValve
    | ScanAcquire
    | ScanStream
    | ScanAbort
    | CameraAcquire
    | SpectrumAcquire
    | SimulationDrift,
    Field(discriminator="verb"),
]

COMMANDS: dict[str, type[Command]] = {
    kind.model_fields["verb"].default: kind
    for kind in (
        StateGet,
        SessionStart,
        SessionStop,
        StageGet,
        StageMove,
        StageMoveBy,
        StageTilt,
        StageStop,
        BeamBlank,
        BeamUnblank,
        BeamPark,
        BeamShift,
        OpticsDefocus,
        OpticsFieldOfView,
        OpticsStigmator,
        OpticsScanRotation,
        AutoFocus,
        ColumnValve,
        ScanAcquire,
        ScanStream,
        ScanAbort,
        CameraAcquire,
        SpectrumAcquire,
        SimulationDrift,
    )
}
"""Every command by its verb."""

_ADAPTER: TypeAdapter[AnyCommand] = TypeAdapter(AnyCommand)


def parse_command(text: str | bytes) -> AnyCommand:
    """The command in a JSON text.

    Raises:
        pydantic.ValidationError: unknown verb, unknown field, or a value outside its bounds.
    """
    return _ADAPTER.validate_json(text)
