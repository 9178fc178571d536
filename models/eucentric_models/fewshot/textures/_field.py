"""What a texture is: a field without level, contrast or noise, drawn anywhere, with relatives."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Field(Protocol):
    """One texture, as it would be without noise and with unit contrast."""

    def draw(self, shape_px: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
        """Another place of the same texture: (ny, nx), mean 0 and standard deviation 1 (or all zeros)."""
        ...

    def again(self, rng: np.random.Generator) -> Self:
        """The same texture as it looks elsewhere in a real image: slightly bent, stretched, denser."""
        ...

    def sibling(self, rng: np.random.Generator) -> Field:
        """Another texture that is easily taken for this one."""
        ...


def standardised(field: NDArray[np.floating]) -> NDArray[np.float32]:
    """Mean 0, standard deviation 1; all zeros where the field is constant."""
    centred = field - field.mean()
    deviation = float(centred.std())
    if deviation < 1e-9:
        return np.zeros(field.shape, np.float32)
    return (centred / deviation).astype(np.float32)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between two positive bounds, every factor equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def frequencies(shape_px: tuple[int, int]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Spatial frequencies of ``rfft2`` in cycles per pixel: (ny, 1) and (1, nx // 2 + 1)."""
    return np.fft.fftfreq(shape_px[0])[:, None], np.fft.rfftfreq(shape_px[1])[None]


def low_passed(image: NDArray[np.floating], sigma_px: float) -> NDArray[np.float64]:
    """The image convolved with a periodic Gaussian."""
    if sigma_px <= 0:
        return image.astype(np.float64)
    fy, fx = frequencies(image.shape)
    transfer = np.exp(-2 * (np.pi * sigma_px) ** 2 * (fy**2 + fx**2))
    return np.fft.irfft2(np.fft.rfft2(image) * transfer, s=image.shape)


def coordinates(shape_px: tuple[int, int], angle_rad: float) -> NDArray[np.float64]:
    """Distance of each pixel from the middle along a direction, in pixels: (ny, nx)."""
    y = np.arange(shape_px[0])[:, None] - (shape_px[0] - 1) / 2
    x = np.arange(shape_px[1])[None] - (shape_px[1] - 1) / 2
    return y * np.sin(angle_rad) + x * np.cos(angle_rad)
