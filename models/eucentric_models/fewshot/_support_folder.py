"""Support sets as files: one JSON, or a folder with a folder of chips for each class, as pyCHIP keeps
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..engines import EngineError, read_plain_array
from ._chips import GreyScale
from ._encoder import ChipEncoder
from ._support_set import MOST_CHIPS_PER_CLASS, MOST_CLASSES, SupportSet
from .errors import SupportSetError

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"})
_MAX_CHIP_PIXELS = 1 << 22


def read_support(
    path: Path,
    encoder: ChipEncoder,
    *,
    grey_scale: GreyScale | None = None,
    pixel_size_m: float | None = None,
) -> SupportSet:
    """A support set from wherever it is kept, for an encoder.

    Args:
        path: a JSON file (:meth:`SupportSet.to_json`), or a folder whose folders are the classes.
        encoder: what the set is to be used with; a JSON of another encoder is embedded again.
        grey_scale: of the image that the chips in a folder were cut from, if it is known.
        pixel_size_m: of that image, if it is known.

    Raises:
        SupportSetError: there is none, or it cannot be used.
    """
    if path.is_dir():
        chips = read_support_images(path)
        return SupportSet.of_images(encoder, chips, grey_scale=grey_scale, pixel_size_m=pixel_size_m)
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _unreadable(f"{path} is neither a folder of classes nor a file ({error})") from error
    return SupportSet.from_json(text).embedded_by(encoder)


def read_support_images(folder: Path) -> dict[str, list[tuple[str, NDArray[np.generic]]]]:
    """Names and pixels of the chips of each class, both in alphabetical order.

    Args:
        folder: whose folders are the classes; each holds png, jpg, tif or npy files, one for each chip.

    Raises:
        SupportSetError: there are no classes, too many files, or one that is no grey image.
    """
    classes = sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))
    if not 0 < len(classes) <= MOST_CLASSES:
        raise _unreadable(f"{folder} holds {len(classes)} folders; one for each class was expected")
    found = {}
    for place in classes:
        files = sorted(path for path in place.iterdir() if path.suffix.lower() in _SUFFIXES)
        if len(files) > MOST_CHIPS_PER_CLASS:
            raise _unreadable(f"the class {place.name!r} has {len(files)} chips; two to ten are enough")
        found[place.name] = [(path.name, _grey(path)) for path in files]
    return found


def _grey(path: Path) -> NDArray[np.generic]:
    if path.suffix.lower() == ".npy":
        try:
            return read_plain_array(path)
        except EngineError as error:
            raise _unreadable(str(error)) from error
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.width * image.height > _MAX_CHIP_PIXELS:
                raise _unreadable(f"{path.name} has {image.width} x {image.height} pixels: it is no chip")
            # Screenshots come in colour though nothing in them is; 16 bit grey must stay as it is.
            colour = image.mode in {"RGB", "RGBA", "P", "CMYK", "YCbCr", "1"}
            return np.array(image.convert("L") if colour else image)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise _unreadable(f"{path.name} cannot be read as an image ({error})") from error


def _unreadable(reason: str) -> SupportSetError:
    return SupportSetError(
        f"The support set cannot be read: {reason}.",
        safe="nothing was classified.",
        next_step="give a support set (.json), or a folder with one folder of chips for each class.",
    )
