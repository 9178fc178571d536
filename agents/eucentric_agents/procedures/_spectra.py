"""One spectrum at one place, with the beam on for no longer than that takes."""

from __future__ import annotations

from typing import Annotated, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from eucentric_core import Capabilities, Frame, FrozenModel, Identifier, Microscope, UnsupportedError
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, SpectrumAcquire

from ._errors import ExposureCutShortError

__all__ = ["EnergyWindow", "SpectrumExposure", "window_share"]

_OVERHEAD_S = 20.0


class EnergyWindow(FrozenModel):
    """A range of the energy axis, in eV."""

    low_ev: Annotated[float, Field(ge=-1e5, le=1e6)] = 10.0
    high_ev: Annotated[float, Field(ge=-1e5, le=1e6)] = 40.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.high_ev <= self.low_ev:
            raise ValueError("high_ev must lie above low_ev")
        return self


class _Acquires(Protocol):
    capabilities: Capabilities

    def acquire(
        self, command: ScanAcquire | CameraAcquire | SpectrumAcquire, *, stream: str | None = None
    ) -> Frame: ...


class SpectrumExposure(FrozenModel):
    """How a procedure takes a spectrum at the parked probe."""

    spectrometer: Identifier = "eels"
    exposure_s: Annotated[float, Field(gt=0, le=600)] = 0.05

    def take(self, scope: Microscope, *, y_fraction: float, x_fraction: float) -> Frame:
        """Park the probe, unblank, acquire, blank; the spectrum has shape (channels,).

        Raises:
            UnsupportedError: this microscope gives no spectra to whoever steers it.
            ExposureCutShortError: someone blanked the beam meanwhile.
            EucentricError: the instrument refused or failed; the beam was blanked if that was possible.
        """
        acquire = _acquiring(scope, self.spectrometer)
        command = SpectrumAcquire(spectrometer=self.spectrometer, exposure_s=self.exposure_s)
        scope.park_beam(y_fraction=y_fraction, x_fraction=x_fraction)
        try:
            scope.unblank(max_duration_s=1.5 * self.exposure_s + _OVERHEAD_S)
            frame = acquire.acquire(command)
            cut_short = scope.state().beam_blanked
        finally:
            scope.blank()
        if cut_short:
            raise ExposureCutShortError(
                "The beam was blanked while a spectrum was being taken.",
                safe="the beam is blanked; the spectrum is not used.",
                next_step="see who blanked it (an interlock, an operator, a time limit), then resume.",
            )
        return frame


def window_share(spectrum: Frame, window: EnergyWindow) -> float:
    """Counts inside an energy window as a share of all counts, between 0 and 1; 0 for a dark spectrum."""
    counts = np.asarray(spectrum.array, np.float64).ravel()
    axis = spectrum.header.axes[-1]
    energy_ev = np.asarray(axis.offset + axis.scale * np.arange(counts.size), np.float64)
    total = float(counts.sum())
    inside = (energy_ev >= window.low_ev) & (energy_ev < window.high_ev)
    return float(counts[inside].sum()) / total if total > 0 else 0.0


def _acquiring(scope: Microscope, spectrometer: str) -> _Acquires:
    if not hasattr(scope, "acquire") or spectrometer not in scope.capabilities.spectrometers:
        known = ", ".join(scope.capabilities.spectrometers) or "none"
        raise UnsupportedError(
            f"{scope.capabilities.instrument} has no spectrometer {spectrometer!r} (known: {known}).",
            safe="nothing was exposed for it.",
            next_step="name one that it has, and steer it by `eucentric.connect`.",
        )
    return scope
