"""Which reader takes which file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from eucentric_core import EucentricError

from ._errors import refuse
from ._hdf5 import read_hdf5
from ._images import ImageSeries, grey_series
from ._labels_file import with_labels_file
from ._tiff import read_tiff
from ._vendor import VENDOR_SUFFIXES, read_vendor, vendor_suffixes

__all__ = ["builtin_suffixes", "is_readable", "is_recording", "read_images"]

_MAX_FILE_BYTES = 4 << 30


def _read_npy(path: Path, _dataset: str | None) -> ImageSeries:
    return ImageSeries(grey_series(path.name, np.load(path, allow_pickle=False)))


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
        series = _BUILTIN.get(path.suffix.lower(), read_vendor)(path, dataset)
        return with_labels_file(path, series)
    except EucentricError:
        raise
    except Exception as error:
        # What a format's library raises on a damaged file is not its interface: it may be anything.
        raise refuse(path.name, f"it cannot be read ({error})") from error
