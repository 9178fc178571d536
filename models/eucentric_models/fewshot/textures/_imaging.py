"""What the microscope makes of a texture: dose, blur, scan noise, detector, grey levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._field import log_uniform, low_passed, standardised


@dataclass(frozen=True, slots=True)
class TextureImaging:
    """Conditions that all chips of one image share.

    Attributes:
        dose_e_per_px: detected electrons per pixel where the signal is 1.
        blur_px: standard deviation of the probe's blur.
        filter_px: standard deviation of a low-pass after detection, as recordings often are; 0 for none.
        row_jitter_px: standard deviation of each row's displacement.
        row_gain: standard deviation of each row's gain.
        slope: relative change of the signal across the image, in the direction of ``slope_rad``.
        slope_rad: uphill.
        clouds: standard deviation of a smooth relative change: contamination, bending, thickness.
        inverted: bright field.
    """

    dose_e_per_px: float
    blur_px: float
    filter_px: float
    row_jitter_px: float
    row_gain: float
    slope: float
    slope_rad: float
    clouds: float
    inverted: bool

    @classmethod
    def random(cls, rng: np.random.Generator) -> TextureImaging:
        """Anything from a clean slow scan to a fast one with a few electrons per pixel."""
        return cls(
            dose_e_per_px=log_uniform(rng, 4, 800),
            blur_px=float(rng.choice([0.0, rng.uniform(0.3, 1.6)])),
            filter_px=float(rng.choice([0.0, 0.0, rng.uniform(0.5, 2.0)])),
            row_jitter_px=float(rng.choice([0.0, rng.uniform(0.1, 0.8)])),
            row_gain=float(rng.choice([0.0, 0.0, rng.uniform(0.005, 0.04)])),
            slope=float(rng.uniform(0, 0.25)),
            slope_rad=float(rng.uniform(0, 2 * np.pi)),
            clouds=float(rng.choice([0.0, rng.uniform(0.02, 0.12)])),
            inverted=bool(rng.random() < 0.2),
        )

    def expose(self, signal: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.float32]:
        """One image of a signal.

        Args:
            signal: (ny, nx), 0 for nothing and about 1 for the brightest.
            rng: source of chance.

        Returns:
            (ny, nx) float32; about 1 where the signal is 1.
        """
        ny, nx = signal.shape
        y = (np.arange(ny)[:, None] / ny - 0.5) * np.sin(self.slope_rad)
        x = (np.arange(nx)[None] / nx - 0.5) * np.cos(self.slope_rad)
        sloped = np.clip(low_passed(signal, self.blur_px) * (1 + self.slope * (y + x)), 0, None)
        if self.clouds:
            sloped *= np.clip(1 + self.clouds * _clouds(signal.shape, rng), 0, None)
        if self.row_jitter_px:
            sloped = _rows_displaced(sloped, self.row_jitter_px * rng.standard_normal((ny,)))
        if self.row_gain:
            sloped *= np.clip(1 + rng.normal(0, self.row_gain, (ny, 1)), 0, None)
        counts = rng.poisson(sloped * self.dose_e_per_px) / self.dose_e_per_px
        filtered = low_passed(counts, self.filter_px).astype(np.float32)
        return 1 - filtered if self.inverted else filtered


def _clouds(shape_px: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth field that changes over about a sixth of the image."""
    return standardised(low_passed(rng.standard_normal(shape_px, dtype=np.float32), max(shape_px) / 6))


def _rows_displaced(image: NDArray[np.floating], shift_px: NDArray[np.floating]) -> NDArray[np.float64]:
    """Each row moved sideways by its own distance, by linear interpolation."""
    nx = image.shape[1]
    source = np.clip(np.arange(nx)[None] + shift_px[:, None], 0, nx - 1)
    left = np.minimum(source.astype(np.int64), nx - 2)
    rest = source - left
    return np.take_along_axis(image, left, 1) * (1 - rest) + np.take_along_axis(image, left + 1, 1) * rest
