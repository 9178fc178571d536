"""The twin's camera: a Ronchigram as the geometrical shadow of the specimen.

A ray at the angle `theta` crosses the specimen at the gradient of the aberration function,
`C1 theta + C3 |theta|^2 theta + A1 conj(theta)` (Krivanek, Dellby and Lupini, Ultramicroscopy 78, 1, 1999);
near focus the shadow is magnified without bounds, far from it one sees the specimen.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from eucentric_core import Axis
from eucentric_models.image_formation import ELEMENTARY_CHARGE_C, ImagingConditions
from eucentric_models.view import View

from ._specimen import Sight

__all__ = ["RONCHIGRAM_PX", "ronchigram", "ronchigram_axes"]

RONCHIGRAM_PX = 256
_ANGLES_OVER_APERTURE = 1.5
_PATCH_PX = 128
_SMALLEST_REACH_M = 2e-10


def ronchigram_axes(convergence_angle_rad: float, binning: int) -> tuple[Axis, Axis]:
    """Calibration of the camera in radians, with the optical axis in its middle."""
    size = RONCHIGRAM_PX // binning
    half = _ANGLES_OVER_APERTURE * convergence_angle_rad
    step = 2 * half / size
    return tuple(Axis(name=name, unit="rad", scale=step, offset=step / 2 - half) for name in "yx")  # type: ignore[return-value]


def ronchigram(
    sight: Sight,
    conditions: ImagingConditions,
    view: View,
    rng: np.random.Generator,
    *,
    exposure_s: float,
    binning: int,
    spherical_aberration_m: float,
    dark: bool,
) -> NDArray[np.uint16]:
    """One camera frame, (256 / binning, 256 / binning), in electrons.

    Args:
        sight: the specimen.
        conditions: probe, defocus and astigmatism; the current is what the camera gets in `exposure_s`.
        view: its centre is where the probe stands.
        rng: source of the noise.
        exposure_s: how long.
        binning: pixels taken together along each side.
        spherical_aberration_m: C3.
        dark: whether no beam arrives.
    """
    size = RONCHIGRAM_PX // binning
    if dark:
        return rng.poisson(0.1, (size, size)).astype(np.uint16)
    aperture = conditions.convergence_angle_rad
    angle = ((np.arange(size) + 0.5) / size - 0.5) * 2 * _ANGLES_OVER_APERTURE * aperture
    theta_y, theta_x = np.meshgrid(angle, angle, indexing="ij")
    squared = theta_y**2 + theta_x**2
    lit = squared <= aperture**2
    longitudinal = conditions.defocus_m + spherical_aberration_m * squared
    a_x = conditions.astigmatism_m * np.cos(2 * conditions.astigmatism_angle_rad)
    a_y = conditions.astigmatism_m * np.sin(2 * conditions.astigmatism_angle_rad)
    place_y = longitudinal * theta_y + a_y * theta_x - a_x * theta_y
    place_x = longitudinal * theta_x + a_x * theta_x + a_y * theta_y
    reach = max(float(np.hypot(place_y, place_x)[lit].max()), _SMALLEST_REACH_M)

    pixel = 2.1 * reach / _PATCH_PX
    sharp = conditions.model_copy(update={"pixel_size_m": pixel, "defocus_m": 0.0, "astigmatism_m": 0.0})
    patch = sight.share(sharp, (_PATCH_PX, _PATCH_PX), view)
    middle = (_PATCH_PX - 1) / 2
    rows, columns = (
        np.clip(np.rint(place / pixel + middle), 0, _PATCH_PX - 1).astype(np.intp)
        for place in (place_y, place_x)
    )
    electrons = conditions.beam_current_a * exposure_s / ELEMENTARY_CHARGE_C / lit.sum()
    expected = np.where(lit, electrons * (1 - np.clip(patch[rows, columns], 0, 1)), 0) + 0.1
    return np.minimum(rng.poisson(expected), 65535).astype(np.uint16)
