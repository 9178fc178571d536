"""What a vendor's microscope consists of, in SI units: the seam between a vendor's names and the vocabulary.

A part that is missing makes its verbs absent from the capabilities. `S` is the vendor's connection object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

from eucentric_core import Optics, StageLimits, StagePosition
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, ScanStream

__all__ = ["BeamPart", "CameraPart", "Scalar", "ScanPart", "StagePart", "Target", "Vector", "VendorScope"]

S = TypeVar("S")

Point = tuple[float, float]
Target = Mapping[str, float]
"""Axes of `StagePosition` by name, in metres and radians; axes left out stay."""


@dataclass(frozen=True, slots=True)
class Scalar(Generic[S]):
    """One control that is set and read back."""

    read: Callable[[S], float]
    write: Callable[[S, float], None]


@dataclass(frozen=True, slots=True)
class Vector(Generic[S]):
    """A control with two components (x, y)."""

    read: Callable[[S], Point]
    write: Callable[[S, Point], None]


@dataclass(frozen=True, slots=True)
class BeamPart(Generic[S]):
    """The blanker."""

    blanked: Callable[[S], bool]
    blank: Callable[[S, bool], None]


@dataclass(frozen=True, slots=True)
class StagePart(Generic[S]):
    """The stage.

    Attributes:
        go: sends a move and may return before it has arrived; where it takes several calls, it asks before
            each whether the stage has been halted meanwhile.
        halt: None where nothing can stop a move.
    """

    read: Callable[[S], StagePosition]
    go: Callable[[S, Target, Callable[[], bool]], None]
    moving: Callable[[S], bool]
    limits: StageLimits
    halt: Callable[[S], None] | None = None


@dataclass(frozen=True, slots=True)
class ScanPart(Generic[S]):
    """One scanning detector.

    Attributes:
        stream: name of its stream.
        check: raises `CommandRefusedError` for a scan that it cannot do.
        acquire: scans one frame; shape (height_px, width_px).
    """

    stream: str
    check: Callable[[ScanAcquire | ScanStream], None]
    acquire: Callable[[S, ScanAcquire | ScanStream], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class CameraPart(Generic[S]):
    """One camera; the members are those of `ScanPart`."""

    name: str
    stream: str
    check: Callable[[CameraAcquire], None]
    acquire: Callable[[S, CameraAcquire], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class VendorScope(Generic[S]):
    """A vendor's microscope.

    Attributes:
        optics: reads the optics; its dwell time is that of the last scan and filled in by the caller.
        park: puts the probe at a place of the field (x, y), fractions from the top left corner.
        calm: what else the safe state does besides blanking, aborting and halting.
    """

    model: str
    simulated: bool
    untested: bool
    notes: str
    beam: BeamPart[S]
    optics: Callable[[S], Optics]
    stage: StagePart[S] | None = None
    defocus: Scalar[S] | None = None
    stigmator: Vector[S] | None = None
    beam_shift: Vector[S] | None = None
    field_of_view: Scalar[S] | None = None
    scan_rotation: Scalar[S] | None = None
    park: Callable[[S, Point], None] | None = None
    auto_focus: Callable[[S], None] | None = None
    column_valve: Callable[[S, bool], None] | None = None
    scan: ScanPart[S] | None = None
    cameras: tuple[CameraPart[S], ...] = ()
    calm: Callable[[S], None] | None = None
