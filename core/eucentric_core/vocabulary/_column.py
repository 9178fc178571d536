"""Beam, optics, automatic functions and valves."""

from __future__ import annotations

from math import pi
from typing import Annotated, Literal

from pydantic import Field, StrictBool

from ._base import Command, CommandResult

__all__ = [
    "AutoFocus",
    "BeamBlank",
    "BeamPark",
    "BeamShift",
    "BeamUnblank",
    "ColumnValve",
    "OpticsDefocus",
    "OpticsFieldOfView",
    "OpticsReport",
    "OpticsScanRotation",
    "OpticsStigmator",
    "VectorReport",
]


class BeamBlank(Command):
    """Keep the beam off the sample. Always allowed: it needs no lease."""

    verb: Literal["beam.blank"] = "beam.blank"
    command_class = "observe"
    urgent = True


class BeamUnblank(Command):
    """Let the beam onto the sample for at most `max_duration_s`; the agent blanks it again by itself."""

    verb: Literal["beam.unblank"] = "beam.unblank"
    command_class = "steer"
    max_duration_s: Annotated[float, Field(gt=0, le=3600)]


class BeamPark(Command):
    """Park the probe at a place of the field of view, as fractions from the top left corner."""

    verb: Literal["beam.park"] = "beam.park"
    command_class = "steer"
    y_fraction: Annotated[float, Field(ge=0, le=1)]
    x_fraction: Annotated[float, Field(ge=0, le=1)]


class VectorReport(CommandResult):
    """The two components that an optical control was told and reports, (x, y), both in `unit`."""

    commanded: tuple[float, float]
    reported: tuple[float, float]
    unit: Literal["m", "rad", "V", "A"] = "m"


class BeamShift(Command):
    """Shift the beam on the specimen to an absolute (x, y) from the optical axis (m)."""

    verb: Literal["beam.shift"] = "beam.shift"
    command_class = "steer"
    result_type = VectorReport
    x_m: Annotated[float, Field(ge=-1e-4, le=1e-4)]
    y_m: Annotated[float, Field(ge=-1e-4, le=1e-4)]


class OpticsReport(CommandResult):
    """The value an optical control was told and the value it reports, both in `unit`."""

    commanded: float
    reported: float
    unit: Literal["m", "rad", "V", "A"] = "m"


class OpticsDefocus(Command):
    """Set the defocus (m); positive is overfocus."""

    verb: Literal["optics.defocus"] = "optics.defocus"
    command_class = "steer"
    result_type = OpticsReport
    defocus_m: Annotated[float, Field(ge=-1e-4, le=1e-4)]


class OpticsFieldOfView(Command):
    """Set the width of the scanned field (m)."""

    verb: Literal["optics.field_of_view"] = "optics.field_of_view"
    command_class = "steer"
    result_type = OpticsReport
    field_of_view_m: Annotated[float, Field(gt=0, le=1e-2)]


class OpticsStigmator(Command):
    """Set the two-fold astigmatism of the probe-forming lens, C1,2, as a vector (m)."""

    verb: Literal["optics.stigmator"] = "optics.stigmator"
    command_class = "steer"
    result_type = VectorReport
    x_m: Annotated[float, Field(ge=-1e-5, le=1e-5)]
    y_m: Annotated[float, Field(ge=-1e-5, le=1e-5)]


class OpticsScanRotation(Command):
    """Turn the scan against the stage's axes (rad)."""

    verb: Literal["optics.scan_rotation"] = "optics.scan_rotation"
    command_class = "steer"
    result_type = OpticsReport
    rotation_rad: Annotated[float, Field(ge=-pi, le=pi)]


class AutoFocus(Command):
    """Run the instrument's own automatic focus."""

    verb: Literal["auto.focus"] = "auto.focus"
    command_class = "steer"
    result_type = OpticsReport


class ColumnValve(Command):
    """Open or close the column valve."""

    verb: Literal["column.valve"] = "column.valve"
    command_class = "hazard"
    open: StrictBool
