"""An image that somebody brings: any file that the platform can read."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from eucentric_agents.drivers.replay import ImageSeries, read_images, series_of_signals
from eucentric_agents.vendor_files import ApartReader
from eucentric_core import EucentricError
from eucentric_model_registry.support_sets import ImageOrigin

from ._errors import ImageUnreadableError
from ._image import StudioImage, checked_image

__all__ = ["MAX_UPLOAD_BYTES", "READABLE", "read_upload"]

MAX_UPLOAD_BYTES = 512 << 20
READABLE = "png, jpg, tif, npy, h5, dm3, dm4, emd, ser, mrc"
_IN_THIS_PROCESS = frozenset({".npy", ".npz", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".h5", ".hdf5"})
_TIMEOUT_S = 60.0
_SAME = 0.01
"""Pixel sizes along y and x that differ by less are one: files round them."""


def read_upload(name: str, content: bytes) -> StudioImage:
    """The image in a file; the first of several.

    Args:
        name: of the file; its ending says what it is.
        content: of the file.

    Raises:
        ImageUnreadableError: it cannot be read, or holds no image that can be labelled.
    """
    plain = Path(name.replace("\\", "/")).name[:200] or "file"
    with tempfile.TemporaryDirectory(prefix="eucentric-studio-") as folder:
        # Its own name is not used as a path: it comes from somebody's browser.
        file = Path(folder) / f"image{Path(plain).suffix.lower()}"
        file.write_bytes(content)
        try:
            series = _read(file)
        except EucentricError as error:
            why = error.what.removeprefix(f"{file.name}: ").replace(file.name, plain)
            raise ImageUnreadableError(
                f"{plain} cannot be opened: {why}",
                safe="the image that was open is still open.",
                next_step=f"{error.next_step} Images of these kinds can be opened: {READABLE}.",
            ) from error
    first = checked_image(np.array(series.stack[0]), plain)
    doubts = [] if len(series.stack) == 1 else [f"It holds {len(series.stack)} images: this is the first."]
    size_m = _pixel_size_m(series)
    if size_m is None:
        doubts.append("It does not say how large its pixels are: give the size, or work in pixels.")
    return StudioImage(first, size_m, ImageOrigin(kind="file", file=plain), plain, tuple(doubts))


def _read(file: Path) -> ImageSeries:
    if file.suffix in _IN_THIS_PROCESS:
        return read_images(file, None)
    with ApartReader(file.parent, timeout_s=_TIMEOUT_S) as apart:
        series = series_of_signals(file, apart.read(file, images_only=True), None)
        # The reader's arrays go with its folder.
        return ImageSeries(np.array(series.stack), series.calibration, series.optics)


def _pixel_size_m(series: ImageSeries) -> float | None:
    if series.calibration is None:
        return None
    y_m, x_m = series.calibration.y_scale_m, series.calibration.x_scale_m
    return x_m if abs(y_m - x_m) <= _SAME * max(y_m, x_m) else None
