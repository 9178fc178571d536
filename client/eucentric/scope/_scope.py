"""The steering client as a notebook wants it: it shows itself, counts down, and gives frames that plot."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from eucentric_core import Capabilities, EucentricError, SteeringClient
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, SpectrumAcquire

from ..display import Measurement
from ._card import scope_card
from ._countdown import Countdown

__all__ = ["Scope"]


class Scope(SteeringClient):
    """An instrument far away. See `SteeringClient` for what it guarantees.

    Example:
        >>> import eucentric  # doctest: +SKIP
        >>> scope = eucentric.connect("titan")  # doctest: +SKIP
        >>> with scope.control(reason="survey"):  # doctest: +SKIP
        ...     scope.start_session("monday", sample="grid-3")
        ...     scope.unblank(max_duration_s=5)
        ...     scope.scan(height_px=256, width_px=256, dwell_time_s=2e-6).plot()
    """

    countdown: bool = True
    """Whether `control` shows how long the lease lasts, where there is a terminal or notebook for it."""

    @contextmanager
    def control(self, *, reason: str, take_over: bool = False) -> Iterator[Self]:
        """Hold the lease and show its countdown; see `SteeringClient.control`."""
        with super().control(reason=reason, take_over=take_over) as steering:
            if not self.countdown:
                yield steering
                return
            with Countdown(self):
                yield steering

    def acquire(
        self, command: ScanAcquire | CameraAcquire | SpectrumAcquire, *, stream: str | None = None
    ) -> Measurement:
        """Acquire one frame and wait for its array; see `SteeringClient.acquire`."""
        frame = super().acquire(command, stream=stream)
        return Measurement(frame.header, frame.array)

    def scan(
        self, *, height_px: int = 512, width_px: int = 512, dwell_time_s: float = 1e-6, stream: str = "haadf"
    ) -> Measurement:
        """Scan one frame, shape `(height_px, width_px)`; see `SteeringClient.acquire`."""
        command = ScanAcquire(height_px=height_px, width_px=width_px, dwell_time_s=dwell_time_s)
        return self.acquire(command, stream=stream)

    def camera(self, camera: str, *, exposure_s: float, binning: int = 1) -> Measurement:
        """Take one camera frame; see `SteeringClient.acquire`."""
        return self.acquire(CameraAcquire(camera=camera, exposure_s=exposure_s, binning=binning))

    def spectrum(self, spectrometer: str, *, exposure_s: float) -> Measurement:
        """Take one spectrum at the parked probe; see `SteeringClient.acquire`."""
        return self.acquire(SpectrumAcquire(spectrometer=spectrometer, exposure_s=exposure_s))

    def _repr_html_(self) -> str:
        try:
            return scope_card(self.capabilities, self.state(), self.lease())
        except EucentricError as error:
            return scope_card(self.capabilities, error)

    def __repr__(self) -> str:
        return f"<{label(self.capabilities)}>"


def label(capabilities: Capabilities) -> str:
    """Name, model and the warnings that belong to it, on one line."""
    warning = ", untested on hardware" if capabilities.untested_on_hardware else ""
    return f"{capabilities.instrument}: {capabilities.model}{warning}"
