"""From heat maps to detections: sub-pixel positions, classes and confidences, in plain numpy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from .calibration import IDENTITY, Calibration
from .lattice_prior import LatticePrior

_SMALLEST = 1e-4
_RIDGE = 1e-9
_FLATTEST = 1e-9
_LARGEST_OFFSET_PX = 0.75


class Decoding(BaseModel):
    """How heat maps become detections; travels with the weights.

    Attributes:
        peak_sigma_px: rms width of the peaks in the maps, which a network is trained to draw.
        threshold: smallest peak height that counts.
        min_distance_px: of two peaks closer than this along both axes, only the higher survives.
        max_detections: cap that keeps a noise-only frame from producing one detection per pixel.
        calibration: from peak height to confidence.
        lattice_prior: how noisy positions are, where columns are known to stand on a lattice and may be moved
            to where their neighbours expect them; None leaves each where it was seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    peak_sigma_px: float = Field(default=2.0, gt=0, le=64)
    threshold: float = Field(default=0.35, gt=0, lt=1)
    min_distance_px: int = Field(default=3, ge=1, le=64)
    max_detections: int = Field(default=20_000, ge=1, le=1_000_000)
    calibration: Calibration = IDENTITY
    lattice_prior: LatticePrior | None = None


DEFAULT_DECODING = Decoding()


@dataclass(frozen=True, slots=True)
class Detections:
    """Columns found in one frame.

    Attributes:
        positions_px: (n, 2) float32 ``[y, x]``; pixel centres have integer coordinates.
        class_id: (n,) int8.
        confidence: (n,) float32 in [0, 1], the calibrated peak height.
    """

    positions_px: NDArray[np.float32]
    class_id: NDArray[np.int8]
    confidence: NDArray[np.float32]

    @classmethod
    def from_rows(cls, rows: NDArray[np.float32]) -> Self:
        """The detections that these `rows`, as the edge publishes them, stand for."""
        return cls(rows[:, :2], rows[:, 2].astype(np.int8), rows[:, 3])

    def __len__(self) -> int:
        return len(self.class_id)

    @property
    def rows(self) -> NDArray[np.float32]:
        """(n, 4) float32 rows ``y_px, x_px, class_id, confidence``."""
        return np.column_stack([self.positions_px, self.class_id, self.confidence]).astype(np.float32)


def decode(maps: NDArray[np.floating], decoding: Decoding = DEFAULT_DECODING) -> Detections:
    """Find the peaks of the strongest class and refine them.

    The position is the vertex of a paraboloid fitted to the logarithm of the values around the peak, weighted
    by their squares, which is exact for a Gaussian peak and nearly the least squares fit of the peak itself
    (Guo, IEEE Signal Process. Mag. 28(5), 134, 2011).  The class is the one with the largest sum over the 3x3
    neighbourhood.

    Args:
        maps: (n_classes, ny, nx) in [0, 1].
        decoding: threshold and separation.

    Returns:
        Detections sorted by falling confidence; empty arrays when nothing reaches the threshold.
    """
    maps = np.asarray(maps, np.float32)
    strongest = maps.max(axis=0)
    y, x = local_maxima(strongest, decoding.threshold, decoding.min_distance_px)
    order = np.argsort(-strongest[y, x], kind="stable")[: decoding.max_detections]
    y, x = y[order], x[order]
    if not len(y):
        return Detections(np.empty((0, 2), np.float32), np.empty(0, np.int8), np.empty(0, np.float32))
    steps = np.arange(-1, 2)
    rows = np.clip(y[:, None] + steps, 0, strongest.shape[0] - 1)[:, :, None]
    columns = np.clip(x[:, None] + steps, 0, strongest.shape[1] - 1)[:, None, :]
    class_id = maps[:, rows, columns].sum(axis=(2, 3)).argmax(axis=0)
    positions = np.stack([y, x], axis=1) + _vertex(strongest, y, x, _fit_reach_px(decoding))
    confidence = decoding.calibration.confidence(strongest[y, x])
    return Detections(positions.astype(np.float32), class_id.astype(np.int8), confidence)


def local_maxima(
    image: NDArray[np.float32], threshold: float, reach_px: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the pixels at or above a threshold that no pixel within reach exceeds.

    Of equal pixels within reach of each other, which are usual at low precision, the first counts.

    Args:
        image: (ny, nx).
        threshold: smallest value.
        reach_px: half side of the square neighbourhood.
    """
    padded = np.pad(image, reach_px, constant_values=-np.inf)
    ny, nx = image.shape
    # Four neighbours leave few candidates, and only those are compared with all within reach.
    candidate = image >= threshold
    for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        top, left = reach_px + dy, reach_px + dx
        candidate &= image >= padded[top : top + ny, left : left + nx]
    y, x = np.nonzero(candidate)
    steps = np.arange(2 * reach_px + 1)
    windows = padded[(y[:, None] + steps)[:, :, None], (x[:, None] + steps)[:, None, :]]
    windows = windows.reshape(len(y), (2 * reach_px + 1) ** 2)
    centre = windows.shape[1] // 2
    value = windows[:, centre]
    highest = value >= windows[:, centre:].max(axis=1, initial=-np.inf)
    highest &= value > windows[:, :centre].max(axis=1, initial=-np.inf)
    return y[highest], x[highest]


def _fit_reach_px(decoding: Decoding) -> int:
    # Beyond one and a half widths there is little of the peak left, and the neighbours begin.
    return int(np.clip(round(1.5 * decoding.peak_sigma_px), 1, max(1, decoding.min_distance_px)))


def _vertex(
    image: NDArray[np.float32], y: NDArray[np.intp], x: NDArray[np.intp], reach_px: int
) -> NDArray[np.float64]:
    """Offset (n, 2) of the vertex of the paraboloid around each pixel; none where there is no peak to fit."""
    steps = np.arange(-reach_px, reach_px + 1)
    # Zero beyond the edge: what is not there has no weight.
    padded = np.pad(image, reach_px)
    rows, columns = (y[:, None] + steps + reach_px)[:, :, None], (x[:, None] + steps + reach_px)[:, None, :]
    values = padded[rows, columns].reshape(len(y), -1).astype(np.float64)
    dy, dx = (grid.ravel().astype(np.float64) for grid in np.meshgrid(steps, steps, indexing="ij"))
    terms = np.stack([np.ones_like(dy), dy, dx, dy * dy, dx * dx, dy * dx], axis=1)
    products = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
    weights = values**2
    normal = (weights @ products).reshape(-1, 6, 6) + _RIDGE * np.eye(6)
    right = (weights * np.log(np.maximum(values, _SMALLEST))) @ terms
    fit = np.linalg.solve(normal, right[..., None])[..., 0]
    yy, xx, yx = 2 * fit[:, 3], 2 * fit[:, 4], fit[:, 5]
    determinant = yy * xx - yx * yx
    peaked = (yy < 0) & (determinant > _FLATTEST)
    offset = np.zeros((len(y), 2))
    safe = np.where(peaked, determinant, 1.0)
    offset[:, 0] = np.where(peaked, (yx * fit[:, 2] - xx * fit[:, 1]) / safe, 0)
    offset[:, 1] = np.where(peaked, (yx * fit[:, 1] - yy * fit[:, 2]) / safe, 0)
    return np.clip(offset, -_LARGEST_OFFSET_PX, _LARGEST_OFFSET_PX)
