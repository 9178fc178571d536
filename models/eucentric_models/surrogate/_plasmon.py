"""SIMULATED images of gold particles, with the intensity of their dipole plasmon in electron energy loss.

The probability that a fast electron excites the dipole mode of a sphere of radius a when it passes its
centre at a distance b is, without retardation,

    P(b) ~ a^3 (w / v)^2 [K0(w b / v)^2 + K1(w b / v)^2],    b >= a

(the term l = 1 of Ferrell and Echenique, Phys. Rev. Lett. 55, 1526 (1985)), with K0 and K1 the modified
Bessel functions, w the frequency of the mode and v the electron's velocity. Within the sphere the value at
its rim is taken: the mode's field is uniform there. Intensities of several spheres add; how they couple is
left out. So what is looked for, the strongest signal, lies at the rims of large particles and where they
stand close together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..image_formation import ImagingConditions
from ..landscape import Landscape, LandscapeRecipe, Particles
from ..landscape_image import form_landscape_frame
from ..view import View
from ._landscape import PropertyLandscape

__all__ = ["PIXEL_SIZE_M", "dipole_plasmon_intensity", "simulate_plasmon_landscape"]

PIXEL_SIZE_M = 3e-9
"""Of the image: a particle of median size is 3 pixels across, one of a cluster 17."""

_MODE_EV = 2.4
_VELOCITY_SHARE = 0.695
"""Of light, at 200 kV."""
_HBAR_C_EV_M = 197.327e-9


def dipole_plasmon_intensity(particles: Particles, positions_m: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intensity of the dipole mode of all particles at points, in arbitrary units.

    Args:
        particles: spheres.
        positions_m: (..., 2) `[y, x]`.

    Returns:
        (...) float64.
    """
    from scipy import special  # heavy, and surveys on control PCs use this package without simulating

    per_m = _MODE_EV / (_HBAR_C_EV_M * _VELOCITY_SHARE)
    intensity = np.zeros(np.shape(positions_m)[:-1])
    for centre_m, radius_m in zip(particles.positions_m, particles.radius_m, strict=True):
        distance_m = np.hypot(*np.moveaxis(positions_m - centre_m, -1, 0))
        argument = per_m * np.maximum(distance_m, radius_m)
        near = special.k0(argument) ** 2 + special.k1(argument) ** 2
        intensity += radius_m**3 * per_m**2 * near
    return intensity


def simulate_plasmon_landscape(shape: tuple[int, int], seed: int) -> PropertyLandscape:
    """A field of a gold-on-carbon landscape: its image, and the plasmon intensity over the largest in it.

    Args:
        shape: (ny, nx) in pixels of `PIXEL_SIZE_M`.
        seed: of the specimen and of the noise.
    """
    ny, nx = shape
    extent_m = max(shape) * PIXEL_SIZE_M
    landscape = Landscape(LandscapeRecipe(), 2 * extent_m, seed)
    conditions = ImagingConditions(
        pixel_size_m=PIXEL_SIZE_M,
        probe_sigma_m=1e-10,
        beam_current_a=60e-12,
        dwell_time_s=2e-6,
        jitter_rms_px=0.2,
    )
    frame = form_landscape_frame(landscape, conditions, shape, np.random.default_rng([seed, 1]), view=View())
    half_m = (ny * PIXEL_SIZE_M, nx * PIXEL_SIZE_M)
    # Seeds of a nanometre are too many and too faint to matter; particles beside the field shine into it.
    particles = landscape.particles_within((0.0, 0.0), half_m, seeds=False)
    y_m, x_m = ((np.arange(side) - (side - 1) / 2) * PIXEL_SIZE_M for side in shape)
    places_m = np.stack(np.meshgrid(y_m, x_m, indexing="ij"), axis=-1)
    intensity = dipole_plasmon_intensity(particles, places_m)
    return PropertyLandscape(np.asarray(frame.frame, np.float32), intensity / intensity.max())
