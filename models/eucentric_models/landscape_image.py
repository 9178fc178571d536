"""How a landscape looks: mass-thickness contrast of gold and carbon, area-weighted at any magnification."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .image_formation import (
    CROSS_SECTION_M2_PER_WEIGHT,
    ImagingConditions,
    SimulatedFrame,
    blurred,
    detect,
    padding,
)
from .landscape import Landscape, Particles
from .material import CONTRAST_EXPONENT
from .view import View

__all__ = ["form_landscape_frame", "landscape_signal"]

_GOLD_SHARE_PER_M = 5.9e28 * 79**CONTRAST_EXPONENT * CROSS_SECTION_M2_PER_WEIGHT
"""Share of the beam that a metre of gold (5.9e28 atoms/m^3) would scatter on the detector."""
_CARBON_SHARE_PER_M = 1.0e29 * 6**CONTRAST_EXPONENT * CROSS_SECTION_M2_PER_WEIGHT
"""The same of amorphous carbon of 2.0 g/cm^3."""

_MOST_SEEDS = 15_000
"""Where a field holds more seeds than this, each is far smaller than a pixel and they become a mean."""
_POINT_PX = 0.7
_STAMPS_PX = (2, 3, 4, 6, 8, 12, 16, 24)


def form_landscape_frame(
    landscape: Landscape,
    conditions: ImagingConditions,
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    view: View,
) -> SimulatedFrame:
    """Acquire one simulated frame with dose noise, scan jitter and detector noise.

    The truth lists the particles with their centre in the frame and at least half a pixel of diameter, with
    their index in `LANDSCAPE_CLASSES`.

    Args:
        landscape: specimen; there is nothing beyond its edges.
        conditions: optics, scan and detector.
        shape: ``(ny, nx)`` in pixels, each in [8, 8192].
        rng: source of all noise.
        view: where the field lies.

    Raises:
        ValueError: the shape is out of bounds.
    """
    if not all(8 <= side <= 8192 for side in shape):
        raise ValueError(f"shape must be within [8, 8192] pixels, got {shape}")
    jitter = rng.normal(0.0, conditions.jitter_rms_px, shape[0]) if conditions.jitter_rms_px else None
    margin, padded = padding(conditions, shape)
    share, truth = landscape_signal(landscape, conditions.pixel_size_m, shape, view, margin, padded)
    signal = blurred(share, conditions, shape, margin, row_shift_px=jitter)
    signal += np.float32(conditions.background_fraction)
    np.clip(signal, 0, 1, out=signal)
    signal *= conditions.electrons_per_pixel * conditions.collection_efficiency
    return SimulatedFrame(detect(signal, conditions, rng), truth)


def landscape_signal(
    landscape: Landscape,
    pixel_size_m: float,
    shape: tuple[int, int],
    view: View,
    margin_px: int = 0,
    padded: tuple[int, int] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share of the beam on the detector before it is blurred, and the truth rows of the frame.

    The share is ``1 - exp(-t)``, where `t` is what the thickness of gold and carbon would scatter alone.

    Args:
        landscape: specimen.
        pixel_size_m: of the frame.
        shape: ``(ny, nx)`` of the frame.
        view: where the frame lies.
        margin_px: pixels before the frame.
        padded: size of the image, with the margins; `shape` when None.
    """
    size = shape if padded is None else padded
    middle = np.array([(side - 1) / 2 + margin_px for side in shape])
    reach_px = np.maximum(middle, np.array(size) - 1 - middle)
    half_field = (float(reach_px[0] * pixel_size_m), float(reach_px[1] * pixel_size_m))
    half = view.reach_m(half_field)
    single = landscape.expected_seeds(half) <= _MOST_SEEDS
    particles = landscape.particles_within(view.centre_m, half, seeds=single)
    centres = (particles.positions_m - np.asarray(view.centre_m)) @ view.to_field.T / pixel_size_m + middle
    gold = _gold_thickness_px(centres, particles.radius_m / pixel_size_m, size)
    gold *= np.float32(pixel_size_m)

    steps = view.to_specimen * pixel_size_m
    origin = np.asarray(view.centre_m) - steps @ middle
    film = landscape.film_thickness_m((origin[0], origin[1]), steps[:, 0], steps[:, 1], size)
    film /= np.float32(np.prod(view.foreshortening))
    if not single:
        gold += np.float32(landscape.mean_seed_thickness_m)
    scattered = np.float32(_GOLD_SHARE_PER_M) * gold
    scattered += np.float32(_CARBON_SHARE_PER_M) * film
    _cut_beyond_edge(scattered, landscape.extent_m, origin, steps)
    return -np.expm1(-scattered), _truth(particles, centres - margin_px, pixel_size_m, shape)


def _cut_beyond_edge(
    image: NDArray[np.float32], extent_m: float, origin_m: NDArray[np.float64], steps: NDArray[np.float64]
) -> None:
    far = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (np.array(image.shape) - 1)
    if np.abs(origin_m + far @ steps.T).max() <= extent_m / 2:
        return
    rows, columns = np.arange(image.shape[0])[:, None], np.arange(image.shape[1])[None, :]
    for axis in range(2):
        place = origin_m[axis] + steps[axis, 0] * rows + steps[axis, 1] * columns
        image[np.abs(place) > extent_m / 2] = 0


def _truth(
    particles: Particles, centres_px: NDArray[np.float64], pixel_size_m: float, shape: tuple[int, int]
) -> NDArray[np.float32]:
    y, x = centres_px.T
    inside = (y >= 0) & (y <= shape[0] - 1) & (x >= 0) & (x <= shape[1] - 1)
    seen = np.flatnonzero(inside & (particles.radius_m >= pixel_size_m / 4))
    return np.column_stack([centres_px[seen], particles.class_id[seen]]).astype(np.float32)


def _gold_thickness_px(
    centres: NDArray[np.float64], radius: NDArray[np.float64], size: tuple[int, int]
) -> NDArray[np.float32]:
    """Thickness of the spheres in pixels, (ny, nx): the volume of each is kept whatever its size."""
    # A stamp whose sphere touches the image may begin twice its half width before it.
    rim = 2 * _STAMPS_PX[-1] + 2
    grid = np.zeros((size[0] + 2 * rim) * (size[1] + 2 * rim))
    width = size[1] + 2 * rim
    y, x = centres.T
    touching = (y > -radius) & (y < size[0] - 1 + radius) & (x > -radius) & (x < size[1] - 1 + radius)
    centres, radius = centres[touching], radius[touching]

    points = radius <= _POINT_PX
    _add_points(grid, width, centres[points] + rim, radius[points])
    lowest = _POINT_PX
    for half in _STAMPS_PX:
        chosen = (radius > lowest) & (radius <= half - 1)
        _add_stamps(grid, width, centres[chosen] + rim, radius[chosen], half)
        lowest = max(lowest, half - 1)
    framed = grid.reshape(size[0] + 2 * rim, width)[rim : rim + size[0], rim : rim + size[1]]
    image: NDArray[np.float32] = framed.astype(np.float32)
    for (y, x), r in zip(centres[radius > lowest], radius[radius > lowest], strict=True):
        _add_large(image, y, x, r)
    return image


def _add_points(
    grid: NDArray[np.float64], width: int, centres: NDArray[np.float64], radius: NDArray[np.float64]
) -> None:
    base = np.floor(centres).astype(np.intp)
    ty, tx = (centres - base).T
    volume = 4 / 3 * np.pi * radius**3
    flat = base[:, 0] * width + base[:, 1]
    for step, share in (
        (0, (1 - ty) * (1 - tx)),
        (1, (1 - ty) * tx),
        (width, ty * (1 - tx)),
        (width + 1, ty * tx),
    ):
        grid += np.bincount(flat + step, weights=volume * share, minlength=len(grid))


def _add_stamps(
    grid: NDArray[np.float64],
    width: int,
    centres: NDArray[np.float64],
    radius: NDArray[np.float64],
    half: int,
) -> None:
    if not len(radius):
        return
    fine = 3 if half <= 4 else 1
    offsets = np.arange(-half, half + 1)
    sub = (np.arange(fine) - (fine - 1) / 2) / fine
    base = np.rint(centres).astype(np.intp)
    points = (offsets[:, None] + sub[None, :]).ravel()
    dy = points[None, :] - (centres - base)[:, :1]
    dx = points[None, :] - (centres - base)[:, 1:]
    square = (radius**2)[:, None, None] - dy[:, :, None] ** 2 - dx[:, None, :] ** 2
    stamp = np.sqrt(np.maximum(square, 0))
    side = len(offsets)
    stamp = stamp.reshape(len(radius), side, fine, side, fine).sum(axis=(2, 4))
    stamp *= (4 / 3 * np.pi * radius**3 / stamp.sum(axis=(1, 2)))[:, None, None]
    place = (base[:, 0, None, None] + offsets[None, :, None]) * width
    place = place + base[:, 1, None, None] + offsets[None, None, :]
    grid += np.bincount(place.ravel(), weights=stamp.ravel(), minlength=len(grid))


def _add_large(image: NDArray[np.float32], y: float, x: float, radius: float) -> None:
    """A sphere of many pixels, clipped to the image."""
    rows, columns = (
        slice(max(0, int(np.floor(c - radius))), min(side, int(np.ceil(c + radius)) + 1))
        for c, side in zip((y, x), image.shape, strict=True)
    )
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return
    dy = (np.arange(rows.start, rows.stop) - y).astype(np.float32)[:, None]
    dx = (np.arange(columns.start, columns.stop) - x).astype(np.float32)[None, :]
    image[rows, columns] += 2 * np.sqrt(np.maximum(np.float32(radius**2) - dy**2 - dx**2, 0))
