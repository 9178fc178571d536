"""Vendors' formats (dm3, dm4, emd and others) as images to replay."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...vendor_files import (
    KNOWN_SUFFIXES,
    VendorSignal,
    load_signals,
    metres_per_unit,
    microscope_facts,
    reader_suffixes,
    says_no_unit,
)
from ._errors import refuse
from ._images import Calibration, ImageSeries, grey_series

__all__ = ["VENDOR_SUFFIXES", "read_vendor", "series_of_signals", "vendor_suffixes"]

VENDOR_SUFFIXES = KNOWN_SUFFIXES
"""Suffixes that are taken from a folder; a single file is tried whatever its suffix."""

vendor_suffixes = reader_suffixes


def read_vendor(path: Path, dataset: str | None) -> ImageSeries:
    """Read the only (or chosen, or first) image signal of a vendor's file; see `read_images`."""
    return series_of_signals(path, load_signals(path, images_only=True), dataset)


def series_of_signals(path: Path, found: Sequence[VendorSignal], dataset: str | None) -> ImageSeries:
    """The only (or chosen, or first) image among the signals of a vendor's file.

    Raises:
        DataFormatError: none of them is an image, or none that was asked for.
    """
    signals = images = [signal for signal in found if _is_image(signal)]
    if not images:
        raise refuse(path.name, "it holds no image")
    if dataset is not None:
        signals = [signal for signal in images if signal.title == dataset]
    if not signals:
        titles = ", ".join(repr(signal.title) for signal in images[:16])
        raise refuse(path.name, f"it holds no image called {dataset!r}, only {titles}")
    # Instruments put the detector that was looked at first.
    signal = signals[0]
    facts = microscope_facts(signal)
    images_of_file = grey_series(path.name, signal.data)
    return ImageSeries(images_of_file, _calibration(signal), facts.optics, stage=facts.stage)


def _is_image(signal: VendorSignal) -> bool:
    data = signal.data
    if data.ndim not in (2, 3) or data.dtype.kind not in "uifb":
        return False
    units = [axis.unit for axis in signal.axes[-2:]]
    uncalibrated = data.ndim == 2 and all(says_no_unit(unit) for unit in units)
    return uncalibrated or all(metres_per_unit(unit) is not None for unit in units)


def _calibration(signal: VendorSignal) -> Calibration | None:
    y, x = signal.axes[-2:]
    y_unit, x_unit = metres_per_unit(y.unit), metres_per_unit(x.unit)
    if y_unit is None or x_unit is None or not (y.scale > 0 and x.scale > 0):
        return None
    return Calibration(y.scale * y_unit, x.scale * x_unit, y.offset * y_unit, x.offset * x_unit)
