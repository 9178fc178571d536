"""What the beam meets: Nion's own sample, and what Nion's cameras see of the twin's specimen."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._controls import ColumnSettings, NionControls
from ._scan_source import Formed

__all__ = ["CameraSample", "StockScene", "flake_of"]

_NOISE_PER_US = 0.3
"""Rms noise of Nion's scan simulator per microsecond of dwell time."""


class _Spectrum(NamedTuple):
    edges_ev: tuple[tuple[float, float], ...]
    plasmon_ev: float


_ONSET_EV = 5.0
_SPECTRA = {
    # S L2,3, Mo M4,5 and C K edges: Ahn and Krivanek, EELS Atlas (Gatan, 1983). Plasmons: bulk MoS2,
    # Liang and Cundy, Phil. Mag. 19, 1031 (1969); graphene, Eberlein et al., Phys. Rev. B 77, 233406 (2008).
    "mos2": _Spectrum(((165.0, _ONSET_EV), (227.0, _ONSET_EV)), 23.0),
    "graphene": _Spectrum(((284.0, _ONSET_EV),), 14.5),
    # Amorphous carbon: Egerton, Electron Energy-Loss Spectroscopy (2011), table C.1.
    "gold_on_carbon": _Spectrum(((284.0, _ONSET_EV),), 24.0),
}


class StockScene:
    """Forms frames of the flakes that come with Nion's simulator. They have no ground truth.

    Args:
        rng: source of the noise of frames without beam.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        from nion.usim_device.InstrumentDevice import ScanDataGenerator

        self._rng = rng
        self._generator = ScanDataGenerator(sample_index=0)

    @property
    def sample(self) -> Any:
        """What Nion's cameras see."""
        return self._generator.sample

    def form(self, nion: NionControls, _column: ColumnSettings, parameters: Any) -> Formed:
        """Form one frame; see `Scene`."""
        stem: Any = nion
        lit = np.ascontiguousarray(self._generator.generate_scan_data(stem, parameters), np.float32)
        noise = self._rng.normal(0.0, _NOISE_PER_US * float(parameters.pixel_time_us), lit.shape)
        return Formed(lit, noise.astype(np.float32), None)


class CameraSample:
    """Nion's `Sample` of a few features."""

    def __init__(self, title: str, features: list[Any]) -> None:
        self.title = title
        self.features = features

    def plot_features(
        self, data: Any, offset_m: Any, fov_size_nm: Any, extra_nm: Any, center_nm: Any, used_size: Any
    ) -> None:
        """Add the features to an image."""
        for feature in self.features:
            feature.plot(data, offset_m, fov_size_nm + extra_nm, center_nm, used_size)


def flake_of(material: str, extent_m: float) -> CameraSample:
    """A square flake with the edges and the plasmon of the material."""
    from nion.usim_device.SampleSimulator import FlakeFeature
    from nion.utils.Geometry import FloatPoint, FloatSize

    edges: Any = _SPECTRA[material].edges_ev
    flake = FlakeFeature(
        FloatPoint(), FloatSize(h=extent_m, w=extent_m), edges, _SPECTRA[material].plasmon_ev, 2
    )
    return CameraSample(material, [flake])
