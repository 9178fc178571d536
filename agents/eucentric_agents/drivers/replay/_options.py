"""What can be chosen about a replay."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from .._options import DriverOptions

__all__ = ["ReplayOptions"]


class ReplayOptions(DriverOptions):
    """Options of the driver `replay`.

    Attributes:
        path: a file, or a folder whose readable files are taken in the order of their names.
        pixel_size_m: pixel size along y and x; needed where a file carries none, and wins where it does.
        dataset: which of several: the path of an HDF5 data set, or the title of a vendor file's signal.
        tile_px: cut each image into square tiles of this side, so that one large image is many frames.
        repeat: begin again after the last frame, for ever.
    """

    path: Path
    pixel_size_m: Annotated[float, Field(gt=0, le=1e-5)] | None = None
    dataset: str | None = None
    tile_px: Annotated[int, Field(ge=16, le=16384)] | None = None
    repeat: bool = False
