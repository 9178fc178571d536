"""Images of a file and how large their pixels are: from the file, or told, or unknown; never guessed."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from eucentric_agents.drivers.replay import ImageSeries, read_images, series_of_signals
from eucentric_agents.vendor_files import ApartReader
from eucentric_core import ConfigurationError, DataFormatError

__all__ = ["AskPixelSize", "CalibratedImages", "read_calibrated"]

AskPixelSize = Callable[[str], float | None]
"""Asks a person for the pixel size (pm) of a file; None if there is nobody to ask."""

_IN_THIS_PROCESS = frozenset({".npy", ".npz", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".h5", ".hdf5"})
_BELIEVABLE_M = (1e-13, 1e-6)
_SAME = 0.01
"""Pixel sizes along y and x that differ by less are one: files round them."""


@dataclass(frozen=True, slots=True)
class CalibratedImages:
    """What is analysed.

    Attributes:
        stack: (n, ny, nx), finite and real.
        pixel_size_m: None if nobody knows it.
        pixel_size_from: who says so.
        doubts: what whoever reads the results must know about that.
    """

    stack: NDArray[np.generic]
    pixel_size_m: float | None
    pixel_size_from: Literal["file", "given"] | None
    doubts: tuple[str, ...] = ()


def read_calibrated(
    file: Path,
    *,
    signal: str | None,
    pixel_size_pm: float | None,
    uncalibrated: bool,
    ask: AskPixelSize | None,
) -> CalibratedImages:
    """Read an image or a series; vendors' formats in a process of their own, as importing does.

    Args:
        file: the file.
        signal: which of several.
        pixel_size_pm: what somebody says; wins over the file.
        uncalibrated: somebody says that nobody knows.
        ask: for the pixel size, where neither says it.

    Raises:
        DataFormatError: the file is not there, cannot be read, or holds no image.
        ConfigurationError: what is said of the pixel size cannot be.
    """
    if pixel_size_pm is not None and uncalibrated:
        raise _refuse("Both a pixel size and --uncalibrated were given.", "give one of them.")
    if pixel_size_pm is not None:
        _believable(pixel_size_pm * 1e-12, f"--pixel-size-pm {pixel_size_pm:g}")
    if not file.is_file():
        raise DataFormatError(
            f"There is no file {file}.", safe="nothing was written.", next_step="check the path."
        )
    series = _read(file, signal)
    if pixel_size_pm is not None:
        return CalibratedImages(series.stack, pixel_size_pm * 1e-12, "given")
    if uncalibrated:
        return CalibratedImages(series.stack, None, None)
    found_m = _pixel_size_m(file, series)
    if found_m is not None:
        return CalibratedImages(series.stack, found_m, "file")
    told_pm = ask(file.name) if ask is not None else None
    if told_pm is None:
        doubt = (
            f"{file.name} does not say how large its pixels are: results are in pixels alone. "
            "Give --pixel-size-pm SIZE (from the microscope's calibration) if it is known."
        )
        return CalibratedImages(series.stack, None, None, (doubt,))
    _believable(told_pm * 1e-12, f"{told_pm:g} pm")
    return CalibratedImages(series.stack, told_pm * 1e-12, "given")


def _read(file: Path, signal: str | None) -> ImageSeries:
    if file.suffix.lower() in _IN_THIS_PROCESS:
        return read_images(file, signal)
    with (
        tempfile.TemporaryDirectory(prefix="eucentric-read-") as scratch,
        ApartReader(Path(scratch)) as apart,
    ):
        series = series_of_signals(file, apart.read(file, images_only=True), signal)
        # The reader's arrays go with its folder.
        return ImageSeries(np.array(series.stack), series.calibration, series.optics)


def _pixel_size_m(file: Path, series: ImageSeries) -> float | None:
    if series.calibration is None:
        return None
    y_m, x_m = series.calibration.y_scale_m, series.calibration.x_scale_m
    if abs(y_m - x_m) > _SAME * max(y_m, x_m):
        raise _refuse(
            f"{file.name} gives pixels of {y_m * 1e12:.4g} pm along y and {x_m * 1e12:.4g} pm along x.",
            "give the true size (--pixel-size-pm), or resample the image.",
        )
    _believable(x_m, f"{file.name} gives {x_m * 1e12:g} pm, which")
    return x_m


def _believable(pixel_size_m: float, what: str) -> None:
    low, high = _BELIEVABLE_M
    # Written so that NaN fails as well.
    if not low <= pixel_size_m <= high:
        raise _refuse(
            f"{what} cannot be the size of a pixel: {low * 1e12:g} pm to {high * 1e12:g} pm are possible.",
            "give the size in picometres: --pixel-size-pm SIZE.",
        )


def _refuse(what: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(what, safe="nothing was written.", next_step=next_step)
