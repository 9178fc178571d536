"""Which reader takes which file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from eucentric_core import ConfigurationError, EucentricError

from ._errors import refuse
from ._hdf5 import read_hdf5
from ._images import ImageSeries, grey_series
from ._labels_file import with_labels_file
from ._tiff import read_tiff
from ._vendor import VENDOR_SUFFIXES, read_vendor, vendor_suffixes

__all__ = ["builtin_suffixes", "is_readable", "is_recording", "read_images"]

_MAX_FILE_BYTES = 4 << 30
_SMALLEST_SIDE_PX = 16
_IMAGE_NAMES = ("image", "images", "frame", "frames")


def _read_npy(path: Path, _dataset: str | None) -> ImageSeries:
    return ImageSeries(grey_series(path.name, np.load(path, allow_pickle=False)))


def _read_npz(path: Path, dataset: str | None) -> ImageSeries:
    with np.load(path, allow_pickle=False) as arrays:
        if dataset is not None and dataset not in arrays.files:
            raise refuse(path.name, f"it has no array {dataset!r}, only {', '.join(sorted(arrays.files))}")
        names = sorted(arrays.files) if dataset is None else [dataset]
        found = {name: arrays[name] for name in names}
    if dataset is None:
        found = {name: array for name, array in found.items() if _could_be_images(array)}
    # Where several could be, one that says what it is.
    found = {name: found[name] for name in _IMAGE_NAMES if name in found} or found
    if not found:
        raise refuse(path.name, "it holds no array that could be an image or a series of images")
    if len(found) > 1:
        raise ConfigurationError(
            f"{path.name} holds {len(found)} arrays that could be meant: {', '.join(found)}.",
            safe="nothing of the file was used.",
            next_step="name one: --signal NAME, or agent.driver.dataset.",
        )
    return ImageSeries(grey_series(path.name, *found.values()))


def _could_be_images(array: np.ndarray[Any, Any]) -> bool:
    return array.ndim in (2, 3) and array.dtype.kind in "uifb" and min(array.shape[-2:]) >= _SMALLEST_SIDE_PX


def _read_picture(path: Path, _dataset: str | None) -> ImageSeries:
    from PIL import Image

    # The resolution in a PNG or JPEG is meant for printers and says nothing about the specimen.
    with Image.open(path) as file:
        image: Image.Image = file
        if image.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
            image = image.convert("RGB")
        elif image.mode == "LA":
            image = image.getchannel("L")
        return ImageSeries(
            grey_series(path.name, np.asarray(image), colour=image.mode in ("RGB", "RGBA", "RGBX"))
        )


_BUILTIN: Mapping[str, Callable[[Path, str | None], ImageSeries]] = MappingProxyType(
    {
        ".npy": _read_npy,
        ".png": _read_picture,
        ".jpg": _read_picture,
        ".jpeg": _read_picture,
        ".tif": read_tiff,
        ".tiff": read_tiff,
        ".h5": read_hdf5,
        ".hdf5": read_hdf5,
    }
)


# Not taken from a folder: most are anything but recordings.
_BY_NAME_ALONE: Mapping[str, Callable[[Path, str | None], ImageSeries]] = MappingProxyType(
    {".npz": _read_npz}
)


def builtin_suffixes() -> tuple[str, ...]:
    """File name suffixes that are read without any extra."""
    return tuple(sorted(_BUILTIN))


def is_readable(path: Path) -> bool:
    """Whether a file of a folder is taken for a recording, judged by its name."""
    return path.suffix.lower() in _BUILTIN or path.suffix.lower() in VENDOR_SUFFIXES


def is_recording(path: Path) -> bool:
    """Whether some reader knows files of this name; asks RosettaSciIO if it is installed."""
    return path.suffix.lower() in _BUILTIN or path.suffix.lower() in vendor_suffixes()


def read_images(path: Path, dataset: str | None = None) -> ImageSeries:
    """Read the images of a file, and the labels in or beside it.

    Args:
        path: the file.
        dataset: which of several; see `ReplayOptions.dataset`.

    Raises:
        DataFormatError: it cannot be read, or holds no images that can be frames.
        ConfigurationError: it needs the extra `vendor-formats`, or holds several and none was chosen.
    """
    try:
        if path.stat().st_size > _MAX_FILE_BYTES:
            raise refuse(
                path.name, f"it is larger than {_MAX_FILE_BYTES >> 30} GiB", "split it into smaller files."
            )
        suffix = path.suffix.lower()
        series = {**_BUILTIN, **_BY_NAME_ALONE}.get(suffix, read_vendor)(path, dataset)
        return with_labels_file(path, series)
    except EucentricError:
        raise
    except Exception as error:
        # What a format's library raises on a damaged file is not its interface: it may be anything.
        raise refuse(path.name, f"it cannot be read ({error})") from error
