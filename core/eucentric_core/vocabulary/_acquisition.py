"""Scans, cameras, spectra. Arrays leave over the data channel; an answer only says where to find them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .._model import Identifier
from ._base import Command, CommandResult

__all__ = [
    "CameraAcquire",
    "FrameReference",
    "ScanAbort",
    "ScanAcquire",
    "ScanStream",
    "SpectrumAcquire",
    "StreamReport",
]

_Pixels = Annotated[int, Field(ge=16, le=16384)]
_DwellTime = Annotated[float, Field(ge=1e-8, le=1.0)]


class FrameReference(CommandResult):
    """Name of a frame on the data channel."""

    instrument: Identifier
    session: Identifier
    stream: str
    sequence: Annotated[int, Field(ge=0)]


class StreamReport(CommandResult):
    """A stream of frames was started; the first one will carry `first_sequence`."""

    session: Identifier
    first_sequence: Annotated[int, Field(ge=0)]


class ScanAcquire(Command):
    """Scan one frame."""

    verb: Literal["scan.acquire"] = "scan.acquire"
    command_class = "steer"
    result_type = FrameReference
    height_px: _Pixels = 512
    width_px: _Pixels = 512
    dwell_time_s: _DwellTime = 1e-6


class ScanStream(Command):
    """Scan frame after frame until aborted, or `max_frames` times."""

    verb: Literal["scan.stream"] = "scan.stream"
    command_class = "steer"
    result_type = StreamReport
    height_px: _Pixels = 512
    width_px: _Pixels = 512
    dwell_time_s: _DwellTime = 1e-6
    max_frames: Annotated[int, Field(ge=1)] | None = None
    max_frames_per_s: Annotated[float, Field(gt=0, le=1e5)] | None = None


class ScanAbort(Command):
    """Stop scanning. Always allowed: it needs no lease and never waits behind a scan."""

    verb: Literal["scan.abort"] = "scan.abort"
    command_class = "observe"
    urgent = True


class CameraAcquire(Command):
    """Take one camera frame."""

    verb: Literal["camera.acquire"] = "camera.acquire"
    command_class = "steer"
    result_type = FrameReference
    camera: Identifier
    exposure_s: Annotated[float, Field(gt=0, le=600)]
    binning: Annotated[int, Field(ge=1, le=64)] = 1


class SpectrumAcquire(Command):
    """Take one spectrum (EELS or EDS) at the parked probe."""

    verb: Literal["spectrum.acquire"] = "spectrum.acquire"
    command_class = "steer"
    result_type = FrameReference
    spectrometer: Identifier
    exposure_s: Annotated[float, Field(gt=0, le=600)]
