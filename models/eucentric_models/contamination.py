"""Hydrocarbon contamination: an uneven, amorphous film that scatters in front of and behind the specimen."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

_CLUMPS = 2.0  # how unlike each other thick and thin places are: rms of the logarithm of the thickness


class Contamination(BaseModel):
    """A film of log-normal thickness.

    Attributes:
        level: share of the beam that its average thickness scatters onto the detector.
        clump_m: correlation length of its thickness.
        grain_m: correlation length of its speckle, about the resolution of the microscope.
        speckle: rms of the speckle relative to the local thickness.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: float = Field(ge=0, le=1)
    clump_m: float = Field(default=0.8e-9, ge=5e-11, le=1e-7)
    grain_m: float = Field(default=0.08e-9, ge=1e-11, le=1e-8)
    speckle: float = Field(default=0.3, ge=0, le=1)

    def background(
        self, shape: tuple[int, int], pixel_size_m: float, rng: np.random.Generator
    ) -> NDArray[np.float32]:
        """Share of the beam that reaches the detector besides the specimen's, (ny, nx) float32, >= 0."""
        thickness = np.exp(_CLUMPS / 2 * _noise(shape, self.clump_m / pixel_size_m, rng))
        film = thickness / thickness.mean() * self.level
        film *= np.maximum(0, 1 + self.speckle * _noise(shape, self.grain_m / pixel_size_m, rng))
        return np.asarray(film, np.float32)


def _noise(shape: tuple[int, int], length_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise of unit variance whose correlation falls as a Gaussian of rms width `length_px`."""
    fy, fx = np.fft.fftfreq(shape[0])[:, None], np.fft.rfftfreq(shape[1])[None, :]
    spectrum = np.fft.rfft2(rng.standard_normal(shape))
    spectrum *= np.exp(-((np.pi * length_px) ** 2) * (fy**2 + fx**2))
    spectrum[0, 0] = 0
    smooth = np.fft.irfft2(spectrum, s=shape)
    return np.asarray(smooth / max(float(smooth.std()), 1e-12))
