"""Stage: absolute moves, and the three positions that are never one number."""

from __future__ import annotations

from math import pi
from typing import Annotated, Literal

from pydantic import Field

from .._frame import StagePosition
from ._base import Command, CommandResult

__all__ = ["MoveReport", "StageGet", "StageMove", "StageMoveBy", "StageStop", "StageTilt"]

_Metres = Annotated[float, Field(ge=-5e-3, le=5e-3)]
_Radians = Annotated[float, Field(ge=-pi / 2, le=pi / 2)]


class MoveReport(CommandResult):
    """Where the stage was told to go, says it is, and (if measured) is.

    `age_s` is over 0 where the device was at work and could not be read: all is as it was that long ago.
    """

    commanded: StagePosition
    reported: StagePosition
    actual: StagePosition | None
    tolerance_m: Annotated[float, Field(gt=0)]
    settle_time_s: Annotated[float, Field(ge=0)]
    age_s: Annotated[float, Field(ge=0)] = 0.0


class StageGet(Command):
    """Read the stage without moving it."""

    verb: Literal["stage.get"] = "stage.get"
    command_class = "observe"
    result_type = MoveReport


class StageMove(Command):
    """Move to an absolute position; axes left out stay where they are."""

    verb: Literal["stage.move"] = "stage.move"
    command_class = "steer"
    result_type = MoveReport
    x_m: _Metres | None = None
    y_m: _Metres | None = None
    z_m: _Metres | None = None


class StageMoveBy(Command):
    """Move by a distance from the last commanded position; axes left out stay where they are.

    A verb of its own, because an absolute move that turns out to be relative breaks samples.
    """

    verb: Literal["stage.move_by"] = "stage.move_by"
    command_class = "steer"
    result_type = MoveReport
    dx_m: _Metres | None = None
    dy_m: _Metres | None = None
    dz_m: _Metres | None = None


class StageTilt(Command):
    """Tilt to absolute angles; axes left out stay where they are."""

    verb: Literal["stage.tilt"] = "stage.tilt"
    command_class = "steer"
    result_type = MoveReport
    alpha_rad: _Radians | None = None
    beta_rad: _Radians | None = None


class StageStop(Command):
    """Halt the stage where it is. Always allowed: it needs no lease and never waits behind a move."""

    verb: Literal["stage.stop"] = "stage.stop"
    command_class = "observe"
    urgent = True
    result_type = MoveReport
