"""Arrays from files of other people: plain numbers and nothing else."""

from __future__ import annotations

from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["read_npy"]


def read_npy(path: Path) -> NDArray[np.number]:
    """A `.npy` of plain real numbers, in C order.

    Raises:
        ValueError: it is something else, or damaged.
        OSError: it cannot be read.
    """
    # np.load would guess the format and so open zip files too; this reads plain arrays and nothing else.
    with path.open("rb") as stream:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise ValueError(f"version {version} of the format")
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(stream)
        content = stream.read()
    if fortran_order or dtype.kind not in "uif":
        raise ValueError(f"{dtype}, Fortran order: {fortran_order}")
    if prod(shape) * dtype.itemsize != len(content) or not content:
        raise ValueError(f"{len(content)} bytes for {dtype}{list(shape)}")
    return np.frombuffer(content, dtype=dtype).reshape(shape)
