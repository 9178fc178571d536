"""Patches of an image around points."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InvalidFrameError
from ..preprocessing import check_frame

__all__ = ["PatchGrid", "patches_at"]


@dataclass(frozen=True, slots=True)
class PatchGrid:
    """Points of a regular grid whose patches lie inside of an image.

    Attributes:
        positions_px: (n, 2) integers `[y, x]`.
        stride_px: between neighbours.
    """

    positions_px: NDArray[np.intp]
    stride_px: int

    @classmethod
    def of_image(cls, shape: tuple[int, int], *, patch_px: int, stride_px: int) -> PatchGrid:
        """The grid of an image of this shape.

        Raises:
            InvalidFrameError: the image is smaller than one patch.
        """
        reach = patch_px // 2
        if min(shape) < patch_px:
            raise _unfit(f"its {shape[0]} x {shape[1]} pixels are less than a patch of {patch_px}")
        y, x = (np.arange(reach, side - reach, stride_px) for side in shape)
        return cls(np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2), stride_px)


def patches_at(
    image: NDArray[np.generic], positions_px: NDArray[np.integer], patch_px: int
) -> NDArray[np.float32]:
    """Patches around points, in units of the image's own mean and standard deviation.

    Args:
        image: (ny, nx) raw values.
        positions_px: (n, 2) integers `[y, x]`.
        patch_px: side, odd.

    Returns:
        (n, patch_px ** 2) float32.

    Raises:
        InvalidFrameError: the image is not a finite real 2D array, or a patch reaches beyond its edge.
    """
    values = check_frame(image)
    reach = patch_px // 2
    positions = np.asarray(positions_px, int).reshape(-1, 2)
    last = np.array(values.shape) - 1 - reach
    if len(positions) and ((positions < reach).any() or (positions > last).any()):
        raise _unfit(f"a patch of {patch_px} pixels around a point reaches beyond its edge")
    standard = (values - values.mean()) / max(float(values.std()), 1e-12)
    steps = np.arange(-reach, reach + 1)
    rows = positions[:, 0, None, None] + steps[:, None]
    columns = positions[:, 1, None, None] + steps[None, :]
    return standard[rows, columns].reshape(len(positions), -1)


def _unfit(problem: str) -> InvalidFrameError:
    return InvalidFrameError(
        f"The image cannot be used: {problem}.",
        safe="nothing was computed with it.",
        next_step="give a larger image, or points further inside.",
    )
