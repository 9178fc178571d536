"""SIMULATED series of core-loss spectra of a titanate that loses oxygen.

The effects are those of the literature on Ti4+ going to Ti3+: L2,3 white lines move to lower energy by about
1.5 eV and lose their crystal-field splitting (Leapman, Grunes and Fejes, Phys. Rev. B 26, 614 (1982); Ohtomo
et al., Nature 419, 378 (2002)), and the O K edge becomes weaker. The kinetics are an induction followed by
first-order decay. Nothing here was measured but, if one is given, the spectrum it starts from.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ReductionRecipe", "edge_spectrum", "simulate_reduction"]

_TI_L_EV, _O_K_EV = 455.0, 530.0
_TI_L_LAST_EV = 490.0


class ReductionRecipe(BaseModel):
    """Ranges that a series is drawn from.

    Attributes:
        times: spectra of a series.
        shift_ev: of the white lines when all titanium is reduced.
        broadening_ev: rms width by which they are broadened then.
        oxygen_loss: share of the O K edge that is gone then.
        rate_per_step: lowest and highest rate of the decay, per spectrum.
        induction_steps: longest time before it begins.
        spectrometer_drift_ev: rms of the random walk of the energy axis, per spectrum.
        mean_counts: lowest and highest mean counts of a channel; the noise is Poisson's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    times: int = Field(default=48, ge=8, le=4096)
    shift_ev: float = Field(default=1.5, gt=0, le=10)
    broadening_ev: float = Field(default=0.8, ge=0, le=10)
    oxygen_loss: float = Field(default=0.25, ge=0, le=1)
    rate_per_step: tuple[float, float] = (0.02, 0.12)
    induction_steps: int = Field(default=16, ge=0, le=4096)
    spectrometer_drift_ev: float = Field(default=0.02, ge=0, le=5)
    mean_counts: tuple[float, float] = (2_000.0, 20_000.0)


def edge_spectrum(energy_ev: NDArray[np.floating]) -> NDArray[np.float64]:
    """A core-loss spectrum of a titanate, without noise, mean 1. SIMULATED.

    A power-law background, Ti L3 and L2 white lines split by the crystal field, and the O K edge.

    Args:
        energy_ev: (n,) energies, 300 eV to 1000 eV.
    """
    spectrum = (energy_ev / 400) ** -3.0
    for onset_ev, height, width_ev in ((456.0, 0.25, 1.0), (_O_K_EV + 1, 0.2, 1.5)):
        step = 0.5 + np.arctan((energy_ev - onset_ev) / width_ev) / np.pi
        spectrum = spectrum + height * step * (np.maximum(energy_ev, onset_ev) / onset_ev) ** -3.0
    lines = (
        (457.9, 0.45),
        (460.2, 0.6),
        (463.4, 0.35),
        (465.6, 0.5),
        (532.0, 0.2),
        (537.0, 0.15),
        (543.5, 0.2),
    )
    for centre_ev, height in lines:
        spectrum = spectrum + height / (1 + ((energy_ev - centre_ev) / 0.9) ** 2)
    return np.asarray(spectrum / spectrum.mean())


def simulate_reduction(
    spectrum: NDArray[np.floating],
    energy_ev: NDArray[np.floating],
    recipe: ReductionRecipe,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A series in which a titanate is reduced.

    Args:
        spectrum: (n,) of the oxidised state, any positive unit, at energies that include the Ti L edge.
        energy_ev: (n,) equally spaced.
        recipe: ranges.
        rng: source of rate, induction, exposure, drift and noise.

    Returns:
        What is expected and what is counted, (times, n) float32 each.
    """
    oxidised = np.asarray(spectrum, np.float64) / np.mean(spectrum)
    reduced = _reduced(oxidised, energy_ev, recipe)
    rate = np.exp(rng.uniform(*np.log(recipe.rate_per_step)))
    elapsed = np.arange(recipe.times) - rng.uniform(0, recipe.induction_steps)
    share = rng.uniform(0.5, 1.0) * (1 - np.exp(-rate * np.maximum(elapsed, 0)))
    counts = np.exp(rng.uniform(*np.log(recipe.mean_counts)))
    drift_ev = np.cumsum(rng.normal(0, recipe.spectrometer_drift_ev, recipe.times))
    expected = np.empty((recipe.times, len(energy_ev)), np.float64)
    for index in range(recipe.times):
        mixed = (1 - share[index]) * oxidised + share[index] * reduced
        expected[index] = counts * np.interp(energy_ev - drift_ev[index], energy_ev, mixed)
    return expected.astype(np.float32), rng.poisson(expected).astype(np.float32)


def _reduced(
    oxidised: NDArray[np.float64], energy_ev: NDArray[np.floating], recipe: ReductionRecipe
) -> NDArray[np.float64]:
    step_ev = float(energy_ev[1] - energy_ev[0])
    reduced = oxidised.copy()
    lines = (energy_ev >= _TI_L_EV - 3) & (energy_ev <= _TI_L_LAST_EV)
    if lines.sum() > 8:
        chosen = oxidised[lines]
        # What stands above the chord under the white lines is the lines.
        above = chosen - np.linspace(chosen[0], chosen[-1], len(chosen))
        moved = np.interp(energy_ev[lines] + recipe.shift_ev, energy_ev[lines], above, right=above[-1])
        reduced[lines] += _broadened(moved, recipe.broadening_ev / step_ev) - above
    oxygen = energy_ev >= _O_K_EV
    if oxygen.sum() > 8:
        before = (energy_ev > _O_K_EV - 15) & (energy_ev < _O_K_EV - 2)
        background = oxidised[before].mean() * (energy_ev[oxygen] / (_O_K_EV - 8)) ** -3.0
        reduced[oxygen] -= recipe.oxygen_loss * np.maximum(oxidised[oxygen] - background, 0)
    return np.maximum(reduced, 0)


def _broadened(values: NDArray[np.float64], sigma_channels: float) -> NDArray[np.float64]:
    if sigma_channels <= 0:
        return values
    reach = int(np.ceil(4 * sigma_channels))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_channels) ** 2)
    padded = np.pad(values, reach, mode="edge")
    return np.convolve(padded, kernel / kernel.sum(), mode="valid")
