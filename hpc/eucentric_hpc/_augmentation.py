"""What may happen to a crop before a network sees it: how, and how far at most."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_KNOTS = 4
_GRAIN_PX = (1.5, 8.0)
_COLUMN_CONTRAST = 0.25  # rms in normalised intensity


class Augmentation(BaseModel):
    """Random changes to every crop; each is drawn between nothing and the bound given here.

    Attributes:
        zoom: largest relative change of magnification, so crops are scaled by 1 / (1 + zoom) to 1 + zoom.
        rotation_rad: largest rotation, either way.
        symmetry: apply the eight symmetries of the square.
        shear: largest relative shear, as drift of the specimen during a frame makes it.
        wobble_px: largest amplitude of a slow displacement of the rows, as mains interference makes it.
        row_jitter_px: largest rms displacement of the rows, each for itself.
        blur_px: largest rms width of an additional blur, as defocus makes it.
        background: largest height of an uneven background, as contamination makes it, in units of
            normalised intensity.
        speckle: largest rms of the texture of such a film, in units of the usual contrast of columns.
        contrast: largest relative change of gain and of gamma.
        noise: largest rms of added Gaussian noise, in normalised intensity.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    zoom: float = Field(default=0.05, ge=0, le=1)
    rotation_rad: float = Field(default=0.0, ge=0, le=np.pi)
    symmetry: bool = True
    shear: float = Field(default=0.0, ge=0, le=0.5)
    wobble_px: float = Field(default=0.0, ge=0, le=20)
    row_jitter_px: float = Field(default=0.0, ge=0, le=5)
    blur_px: float = Field(default=0.0, ge=0, le=20)
    background: float = Field(default=0.0, ge=0, le=5)
    speckle: float = Field(default=0.0, ge=0, le=5)
    contrast: float = Field(default=0.1, ge=0, le=0.9)
    noise: float = Field(default=0.05, ge=0, le=1)


class View(NamedTuple):
    """Where the pixels of a crop lie in its frame.

    Attributes:
        matrix: (2, 2), frame pixels per crop pixel.
        centre_px: (2,) frame position of the middle of the crop.
        wobble_px: (side,) displacement of each row of the crop along x, which the truth follows.
        jitter_px: (side,) further displacement, which it does not.
    """

    matrix: NDArray[np.float64]
    centre_px: NDArray[np.float64]
    wobble_px: NDArray[np.float64]
    jitter_px: NDArray[np.float64]

    @classmethod
    def draw(cls, frame: tuple[int, ...], side: int, bounds: Augmentation, rng: np.random.Generator) -> View:
        """A view that stays inside the frame, as far as the frame is large enough for the crop at all."""
        largest = np.log1p(bounds.zoom)
        # The crop never leaves the frame, which bounds how far a small frame can be zoomed out.
        scale = max(float(np.exp(rng.uniform(-largest, largest))), (side - 1) / (min(frame[:2]) - 1))
        turn = np.eye(2)
        if bounds.rotation_rad:
            angle = rng.uniform(-bounds.rotation_rad, bounds.rotation_rad)
            turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        if bounds.shear:
            turn = turn @ np.array([[1, 0], [rng.uniform(-bounds.shear, bounds.shear), 1]])
        if not _fits(turn / scale, frame, side):
            turn = np.eye(2)
        matrix = turn / scale
        half = (side - 1) / 2 * np.abs(matrix).sum(axis=1)
        low, high = half, np.array(frame[:2]) - 1 - half
        centre = rng.uniform(np.minimum(low, high), np.maximum(low, high))
        if scale == 1 and (turn == np.eye(2)).all():
            centre = np.round(centre - half) + half
        wobble = np.zeros(side)
        if bounds.wobble_px:
            period, phase = rng.uniform(0.3, 2) * side, rng.uniform(0, 2 * np.pi)
            wobble = rng.uniform(0, bounds.wobble_px) * np.sin(2 * np.pi * np.arange(side) / period + phase)
        jitter = np.zeros(side)
        if bounds.row_jitter_px:
            jitter = rng.normal(0, rng.uniform(0, bounds.row_jitter_px), side)
        return cls(matrix, centre, wobble, jitter)

    def of(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The crop, (side, side), by bilinear interpolation."""
        side = len(self.wobble_px)
        steps = np.arange(side) - (side - 1) / 2
        columns = steps[None] + (self.wobble_px + self.jitter_px)[:, None]
        y = self.centre_px[0] + self.matrix[0, 0] * steps[:, None] + self.matrix[0, 1] * columns
        x = self.centre_px[1] + self.matrix[1, 0] * steps[:, None] + self.matrix[1, 1] * columns
        y0, ty = _bilinear(y, image.shape[0])
        x0, tx = _bilinear(x, image.shape[1])
        flat = image.ravel()
        corner = y0 * image.shape[1] + x0
        upper = flat[corner] + tx * (flat[corner + 1] - flat[corner])
        corner += image.shape[1]
        lower = flat[corner] + tx * (flat[corner + 1] - flat[corner])
        return np.asarray(upper + ty * (lower - upper), np.float32)

    def rows(self, truth: NDArray[np.float64]) -> NDArray[np.float64]:
        """Truth rows (n, 3) ``y_px, x_px, class_id`` in pixels of the crop."""
        side = len(self.wobble_px)
        places = (truth[:, :2] - self.centre_px) @ np.linalg.inv(self.matrix).T + (side - 1) / 2
        places[:, 1] -= np.interp(places[:, 0], np.arange(side), self.wobble_px)
        return np.column_stack([places, truth[:, 2]])


def degrade(
    image: NDArray[np.float32], bounds: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """A crop (side, side) out of focus, contaminated, of other contrast and noisier."""
    if bounds.blur_px:
        image = _blurred(image, rng.uniform(0, bounds.blur_px))
    if bounds.background:
        knots = rng.uniform(0, rng.uniform(0, bounds.background), (_KNOTS, _KNOTS)).astype(np.float32)
        stretch = _stretch(image.shape[0])
        # Percentiles put the brightest place at 1 again, whatever makes it bright.
        image = (image + stretch @ knots @ stretch.T) / (1 + knots.max())
    if bounds.speckle:
        image = _speckled(image, bounds.speckle, rng)
    if bounds.contrast:
        gain, offset = rng.uniform(-bounds.contrast, bounds.contrast, size=2)
        image = image * np.float32(1 + gain) + np.float32(offset / 2)
    if bounds.noise:
        level = np.float32(rng.uniform(0, bounds.noise))
        image = image + level * rng.standard_normal(image.shape, np.float32)
    return image


def random_symmetry(
    image: NDArray[np.float32], rows: NDArray[np.float64], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """One of the eight symmetries of the square, of a crop and of its truth rows."""
    last = image.shape[0] - 1
    transpose, flip_y, flip_x = rng.integers(2, size=3)
    if transpose:
        image, rows = image.T, rows[:, [1, 0, 2]]
    if flip_y:
        image, rows = image[::-1], rows * [-1, 1, 1] + [last, 0, 0]
    if flip_x:
        image, rows = image[:, ::-1], rows * [1, -1, 1] + [0, last, 0]
    return np.ascontiguousarray(image), rows


def _fits(matrix: NDArray[np.float64], frame: tuple[int, ...], side: int) -> bool:
    return bool(np.all((side - 1) * np.abs(matrix).sum(axis=1) <= np.array(frame[:2]) - 1 + 1e-9))


def _bilinear(position: NDArray[np.float64], length: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    position = np.clip(position, 0, length - 1)
    base = np.clip(np.floor(position).astype(np.intp), 0, length - 2)
    return base, (position - base).astype(np.float32)


def _blurred(image: NDArray[np.float32], sigma_px: float) -> NDArray[np.float32]:
    if sigma_px < 0.2:
        return image
    steps = np.arange(image.shape[0])
    kernel = np.exp(-0.5 * ((steps[:, None] - steps[None]) / sigma_px) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    return np.asarray(kernel @ image @ kernel.T)


def _speckled(image: NDArray[np.float32], largest: float, rng: np.random.Generator) -> NDArray[np.float32]:
    side = image.shape[0]
    grains = _blurred(rng.standard_normal(image.shape, np.float32), rng.uniform(*_GRAIN_PX))
    knots = rng.uniform(0, rng.uniform(0, largest), (_KNOTS, _KNOTS)).astype(np.float32)
    strength = _stretch(side) @ knots @ _stretch(side).T
    film = strength * grains * np.float32(_COLUMN_CONTRAST / max(float(grains.std()), 1e-6))
    # What is strong beside the columns takes their place in the range of intensities.
    return np.asarray((image + film) / np.sqrt(1 + strength**2))


def _stretch(side: int) -> NDArray[np.float32]:
    place = np.arange(side) / (side - 1) * (_KNOTS - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(_KNOTS)[None])).astype(np.float32)
