"""A scanning detector of PyJEM's `detector` module."""

from __future__ import annotations

from collections.abc import Callable
from math import degrees, pi, radians
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric_core import CommandRefusedError
from eucentric_core.vocabulary import ScanAcquire, ScanStream

from ..vendor_api import ScanPart, VendorCallError, check_square, require_told, stream_name

__all__ = ["JeolDetector"]

_SCAN, _SPOT = 0, 3
"""Values of `Detector.set_scanmode`."""

_MAX_DWELL_US = 1000.0
_RAW = np.dtype("<u2")


class JeolDetector:
    """One detector by name. `scope` is a `Jeol`; the vendor's object is made on the thread that uses it.

    Args:
        name: as `get_attached_detector` lists it.
        sizes_px: sides of the square frames that are calibrated.
    """

    def __init__(self, name: str, sizes_px: tuple[int, ...]) -> None:
        self._name = name
        self._sizes_px = sizes_px

    def part(self, stream: str | None, require_stem: Callable[[Any], None]) -> ScanPart[Any]:
        """The detector as a part of the microscope, with its frames on this stream or one of its name."""

        def acquire(scope: Any, command: ScanAcquire | ScanStream) -> NDArray[Any]:
            require_stem(scope)
            return self._acquire(scope, command)

        return ScanPart(stream or stream_name(self._name), self._check, acquire)

    def park(self, scope: Any, place: tuple[float, float]) -> None:
        """Put the probe at a place (x, y) of the largest calibrated frame, fractions from the top left."""
        detector, side = self._detector(scope), max(self._sizes_px)
        detector.set_imaging_area(side, side, 0, 0)
        detector.set_scanmode(_SPOT)
        detector.set_spotposition(*(round(fraction * (side - 1)) for fraction in place))

    def rotation_rad(self, scope: Any) -> float:
        """The scan rotation, from -pi to pi."""
        turned = radians(float(self._detector(scope).get_detectorsetting()["ScanRotation"]))
        return (turned + pi) % (2 * pi) - pi

    def rotate(self, scope: Any, rotation_rad: float) -> None:
        """Turn the scan."""
        self._detector(scope).set_scanrotation(degrees(rotation_rad) % 360)

    def auto_focus(self, scope: Any) -> None:
        """Run JEOL's automatic focus."""
        self._detector(scope).AutoFocus()

    def _detector(self, scope: Any) -> Any:
        return scope.detectors.Detector(self._name)

    def _check(self, command: ScanAcquire | ScanStream) -> None:
        check_square(command, self._sizes_px)
        if command.dwell_time_s * 1e6 > _MAX_DWELL_US:
            raise CommandRefusedError(
                f"A dwell time of {command.dwell_time_s:g} s is over the {_MAX_DWELL_US:g} us of PyJEM.",
                safe="nothing was scanned.",
                next_step="scan faster and sum frames.",
            )

    def _acquire(self, scope: Any, command: ScanAcquire | ScanStream) -> NDArray[Any]:
        detector = self._detector(scope)
        dwell_us = command.dwell_time_s * 1e6
        detector.set_scanmode(_SCAN)
        detector.set_imaging_area(command.width_px, command.height_px, 0, 0)
        detector.set_exposuretime_value(dwell_us)
        require_told("dwell time (us)", dwell_us, float(detector.get_detectorsetting()["ExposureTimeValue"]))
        raw = bytes(detector.snapshot_rawdata())
        shape = (command.height_px, command.width_px)
        if len(raw) != shape[0] * shape[1] * _RAW.itemsize:
            raise VendorCallError(
                f"A frame of {shape[0]} x {shape[1]} pixels came as {len(raw)} bytes.",
                safe="the frame was not published.",
                next_step="check frame_sizes_px in the driver's calibrations.",
            )
        return np.frombuffer(raw, _RAW).reshape(shape)
