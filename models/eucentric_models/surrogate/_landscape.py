"""SIMULATED images with a property that depends on what is seen around a point.

Discs of different sizes on a support. The property is strongest at the rim of discs of one size, as the edge
plasmon of a nanoparticle is, and a rare combination: most of the image has nothing to do with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PropertyLandscape", "simulate_landscape"]

_BEST_RADIUS_PX, _RADIUS_WIDTH_PX = 9.0, 0.6
_RIM_WIDTH_PX = 1.5


@dataclass(frozen=True, slots=True)
class PropertyLandscape:
    """An image and the true property at every pixel.

    Attributes:
        image: (ny, nx) float32, with noise.
        property: (ny, nx) float64 in [0, 1].
    """

    image: NDArray[np.float32]
    property: NDArray[np.float64]


def simulate_landscape(
    shape: tuple[int, int], rng: np.random.Generator, *, discs: int = 24, noise: float = 0.1
) -> PropertyLandscape:
    """Draw an image and its property.

    Args:
        shape: (ny, nx).
        rng: places, sizes and noise.
        discs: how many.
        noise: rms of the image's noise, where a disc has contrast 1.
    """
    y, x = np.indices(shape, dtype=np.float64)
    image, value = np.zeros(shape), np.zeros(shape)
    for _ in range(discs):
        centre_y, centre_x = rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
        radius = rng.uniform(4.0, 11.0)
        distance = np.hypot(y - centre_y, x - centre_x)
        image = np.maximum(image, 1 / (1 + np.exp((distance - radius) / 0.7)))
        right_size = np.exp(-0.5 * ((radius - _BEST_RADIUS_PX) / _RADIUS_WIDTH_PX) ** 2)
        rim = np.exp(-0.5 * ((distance - radius) / _RIM_WIDTH_PX) ** 2)
        value = np.maximum(value, right_size * rim)
    return PropertyLandscape((image + rng.normal(0, noise, shape)).astype(np.float32), value)
