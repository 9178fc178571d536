"""What is sent to a browser for one frame: header, positions, image, and the uncertainty if asked for.

    uint32 length of the header, little-endian · header, JSON · positions · JPEG · PNG

Positions are uint16 `(n, 4)`: x and y in sixteenths of a pixel of the encoded image, class, score of 65535.
"""

from __future__ import annotations

import json
import struct

import numpy as np
import numpy.typing as npt

from ..._encode import Contrast, reduction
from ..._lengths import length_in_words
from ..._picture import Picture
from ...chips import awaits_map, chip_grid

__all__ = ["MAX_DRAWN", "frame_message", "packed_positions"]

MAX_DRAWN = 4000
"""Most positions of one message; the surest detections are drawn."""

_STEPS_PER_PX = 16
_MAX_SCORE = 65535


def frame_message(picture: Picture, contrast: Contrast, *, with_uncertainty: bool, age_s: float) -> bytes:
    """The message for one viewer. What is in it is made once for all viewers who want the same."""
    image = picture.jpeg(contrast)
    layer = picture.uncertainty_png() if with_uncertainty else None
    factor = reduction(picture.frame.array.shape)
    height, width = (side // factor for side in picture.frame.array.shape)
    # Chips are drawn as areas or not at all.
    rows = None if awaits_map(picture) else picture.rows
    positions = b""
    if rows is not None:
        positions = picture.once("positions", lambda: packed_positions(rows, factor).tobytes())
    frame, size_m, grid = picture.frame.header, picture.pixel_size_m, chip_grid(picture)
    header = {
        "version": picture.version,
        "session": frame.session,
        "sequence": frame.sequence,
        "width": width,
        "height": height,
        "pixel_size_m": None if size_m is None else size_m * factor,
        "chip_px": None if grid is None else grid.side_px / factor,
        "caption": _caption(picture),
        "counts": picture.counts,
        "age_s": age_s,
        "rows_bytes": len(positions),
        "image_bytes": len(image),
        "layer_bytes": 0 if layer is None else len(layer),
    }
    text = json.dumps(header).encode()
    return b"".join((struct.pack("<I", len(text)), text, positions, image, layer or b""))


def packed_positions(rows: npt.NDArray[np.float32], factor: int) -> npt.NDArray[np.uint16]:
    """Detections `(n, 4)`, columns `DETECTION_COLUMNS`, as they are sent; if there are too many, the surest.

    Pixel centres have integer coordinates in the frame, and lie at half a pixel in the browser's image.
    """
    if len(rows) > MAX_DRAWN:
        rows = rows[np.argsort(-rows[:, 3], kind="stable")[:MAX_DRAWN]]
    packed = np.empty((len(rows), 4), np.uint16)
    places = (rows[:, 1::-1] + 0.5) / factor * _STEPS_PER_PX
    packed[:, :2] = np.clip(np.rint(places), 0, _MAX_SCORE)
    packed[:, 2] = rows[:, 2].astype(np.uint16)
    packed[:, 3] = np.clip(np.rint(rows[:, 3] * _MAX_SCORE), 0, _MAX_SCORE)
    return packed


def _caption(picture: Picture) -> str:
    header = picture.frame.header
    ny, nx = picture.frame.array.shape
    size = picture.pixel_size_m
    scale = "pixel size not known"
    if size is not None:
        scale = f"{length_in_words(size)}/px · {length_in_words(nx * size)} wide"
    return f"{header.stream} · frame {header.sequence} · {nx} × {ny} px · {scale}"
