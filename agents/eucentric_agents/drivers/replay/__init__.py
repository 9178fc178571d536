"""Recorded files as an instrument: real data runs through the loop as if a microscope were taking it."""

from __future__ import annotations

from ...vendor_files import metres_per_unit
from ._errors import UnknownPixelSizeError
from ._images import Calibration, ImageSeries
from ._labels import Labels
from ._options import ReplayOptions
from ._readers import builtin_suffixes, is_recording, read_images
from ._replay import ReplayInstrument
from ._source import FrameSource, RecordedFrame
from ._vendor import series_of_signals

__all__ = [
    "Calibration",
    "FrameSource",
    "ImageSeries",
    "Labels",
    "RecordedFrame",
    "ReplayInstrument",
    "ReplayOptions",
    "UnknownPixelSizeError",
    "builtin_suffixes",
    "is_recording",
    "metres_per_unit",
    "read_images",
    "series_of_signals",
]
