"""temscript's STEM detectors and cameras."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from eucentric_core import CommandRefusedError
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, ScanStream

from ..vendor_api import (
    CameraPart,
    ScanPart,
    check_square,
    chosen_detector,
    portable_name,
    refuse_longer_than,
    require_told,
    stream_name,
)
from ._options import TemscriptOptions

__all__ = ["cameras", "scan"]

Microscope = Any


def scan(microscope: Microscope, options: TemscriptOptions) -> ScanPart[Microscope] | None:
    """The scanning detector; None where there is none or the size of its frames is not calibrated.

    Raises:
        ConfigurationError: there are several and none was chosen.
    """
    detectors = microscope.get_stem_detectors()
    detector = chosen_detector(tuple(detectors), options.scan_detector)
    full_px = options.calibrations.stem_full_frame_px
    if detector is None or full_px is None:
        return None
    # A smaller image size than FULL is a part of the field, a binned one is all of it.
    binning_of = {full_px // int(binning): int(binning) for binning in detectors[detector]["binnings"]}

    def check(command: ScanAcquire | ScanStream) -> None:
        check_square(command, tuple(binning_of))
        refuse_longer_than(
            options.longest_acquisition_s, command.dwell_time_s * command.height_px * command.width_px
        )

    def acquire(scope: Microscope, command: ScanAcquire | ScanStream) -> NDArray[Any]:
        if scope.get_instrument_mode() != "STEM":
            raise CommandRefusedError(
                "The microscope is not in STEM mode.",
                safe="nothing was scanned.",
                next_step="switch it to STEM in its own software.",
            )
        scope.set_stem_acquisition_param(
            {
                "image_size": "FULL",
                "binning": binning_of[command.width_px],
                "dwell_time(s)": command.dwell_time_s,
            }
        )
        reported = scope.get_stem_acquisition_param()
        require_told("dwell time", command.dwell_time_s, float(reported["dwell_time(s)"]))
        image: NDArray[Any] = scope.acquire(detector)[detector]
        return image

    return ScanPart(options.scan_stream or stream_name(detector), check, acquire)


def cameras(microscope: Microscope, options: TemscriptOptions) -> tuple[CameraPart[Microscope], ...]:
    """The cameras."""
    return tuple(
        _camera(name, tuple(int(binning) for binning in description["binnings"]), options)
        for name, description in sorted(microscope.get_cameras().items())
    )


def _camera(name: str, binnings: tuple[int, ...], options: TemscriptOptions) -> CameraPart[Microscope]:
    def check(command: CameraAcquire) -> None:
        if command.binning not in binnings:
            raise CommandRefusedError(
                f"{name} has no binning {command.binning}.",
                safe="nothing was acquired.",
                next_step=f"use one of {', '.join(map(str, binnings))}.",
            )
        refuse_longer_than(options.longest_acquisition_s, command.exposure_s)

    def acquire(scope: Microscope, command: CameraAcquire) -> NDArray[Any]:
        scope.set_camera_param(
            name, {"image_size": "FULL", "exposure(s)": command.exposure_s, "binning": command.binning}
        )
        require_told("exposure", command.exposure_s, float(scope.get_camera_param(name)["exposure(s)"]))
        image: NDArray[Any] = scope.acquire(name)[name]
        return image

    return CameraPart(portable_name(name), stream_name(name), check, acquire)
