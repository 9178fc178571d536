"""TIFF: one image or a series, calibrated by ImageJ, OME or a Thermo Fisher microscope."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...vendor_files import metres_per_unit
from ._errors import refuse
from ._images import Calibration, ImageSeries, grey_series

__all__ = ["read_tiff"]


def read_tiff(path: Path, _dataset: str | None) -> ImageSeries:
    """Read a TIFF's first series; see `read_images`."""
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        array = series.asarray()
        colour = series.axes.endswith("S") and array.shape[-1] in (3, 4)
        images = grey_series(path.name, _without_channels(path, array, series.axes), colour=colour)
        return ImageSeries(images, _imagej(tiff) or _ome(tiff) or _thermo_fisher(tiff))


def _without_channels(path: Path, array: Any, axes: str) -> Any:
    if "C" in axes and array.shape[axes.index("C")] > 1:
        raise refuse(path.name, "it holds several channels at once", "save the channel you want as a file.")
    single = tuple(i for i, axis in enumerate(axes) if axis not in "YXS" and array.shape[i] == 1)
    return array.squeeze(axis=single)


def _imagej(tiff: Any) -> Calibration | None:
    # The resolution of a plain TIFF is meant for printers; ImageJ states pixels per unit of length.
    per_unit = metres_per_unit((tiff.imagej_metadata or {}).get("unit"))
    tags = tiff.pages[0].tags
    if per_unit is None or "XResolution" not in tags or "YResolution" not in tags:
        return None
    (x_pixels, x_units), (y_pixels, y_units) = tags["XResolution"].value, tags["YResolution"].value
    if not x_pixels or not y_pixels:
        return None
    return Calibration(per_unit * y_units / y_pixels, per_unit * x_units / x_pixels)


def _ome(tiff: Any) -> Calibration | None:
    if not tiff.is_ome:
        return None
    import tifffile

    image = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
    pixels = (image[0] if isinstance(image, list) else image)["Pixels"]
    scales = []
    for axis in "YX":
        per_unit = metres_per_unit(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        size = pixels.get(f"PhysicalSize{axis}")
        if per_unit is None or size is None:
            return None
        scales.append(float(size) * per_unit)
    return Calibration(scales[0], scales[1])


def _thermo_fisher(tiff: Any) -> Calibration | None:
    scan = (tiff.fei_metadata or {}).get("Scan", {})
    try:
        return Calibration(float(scan["PixelHeight"]), float(scan["PixelWidth"]))
    except (KeyError, TypeError, ValueError):
        return None
