"""The twin's spectrometer: an energy-loss spectrum of plausible shape (Egerton, EELS, 2011, chapter 3)."""

from __future__ import annotations

from math import exp, factorial

import numpy as np
from numpy.typing import NDArray

from eucentric_core import Axis
from eucentric_models.image_formation import ELEMENTARY_CHARGE_C

__all__ = ["ENERGY_AXIS", "energy_loss_spectrum"]

_CHANNELS = 1024
ENERGY_AXIS = Axis(name="energy_loss", unit="eV", scale=0.5, offset=-32.0)
_ZERO_LOSS_SIGMA_EV = 0.4
_PLASMON_EV = 23.0
_PLASMON_WIDTH_EV = 12.0
_TAIL_EXPONENT = 3.0
_TAIL_SHARE = 0.02
_MEAN_FREE_PATHS_PER_SHARE = 10.0
_MAX_MEAN_FREE_PATHS = 2.0


def energy_loss_spectrum(
    share: float, rng: np.random.Generator, *, beam_current_a: float, exposure_s: float
) -> NDArray[np.uint32]:
    """Electrons per channel, (1024,) along `ENERGY_AXIS`.

    Zero-loss peak, up to three plasmons by Poisson statistics, and a power-law tail. The thickness in mean
    free paths is taken as ten times the share of the beam that scatters on the annular detector, at most 2.

    Args:
        share: of the beam on the annular detector where the probe stands.
        rng: source of the noise.
        beam_current_a: current; 0 gives a dark spectrum.
        exposure_s: how long.
    """
    energy = ENERGY_AXIS.offset + ENERGY_AXIS.scale * np.arange(_CHANNELS)
    thickness = min(_MEAN_FREE_PATHS_PER_SHARE * share, _MAX_MEAN_FREE_PATHS)
    shape = exp(-thickness) * _unit_area(np.exp(-(energy**2) / (2 * _ZERO_LOSS_SIGMA_EV**2)))
    for order in (1, 2, 3):
        half_width = order * _PLASMON_WIDTH_EV / 2
        peak = np.where(energy > 0, half_width**2 / ((energy - order * _PLASMON_EV) ** 2 + half_width**2), 0)
        shape += exp(-thickness) * thickness**order / factorial(order) * _unit_area(peak)
    beyond = np.maximum(energy, _PLASMON_EV)
    tail = np.where(energy > _PLASMON_EV, (beyond / _PLASMON_EV) ** -_TAIL_EXPONENT, 0)
    shape += _TAIL_SHARE * thickness * _unit_area(tail)
    electrons = beam_current_a * exposure_s / ELEMENTARY_CHARGE_C
    return np.minimum(rng.poisson(electrons * shape + 0.1), 2**32 - 1).astype(np.uint32)


def _unit_area(curve: NDArray[np.float64]) -> NDArray[np.float64]:
    return curve / curve.sum()
