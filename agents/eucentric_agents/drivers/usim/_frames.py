"""From what Nion's devices deliver to frames with their headers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from eucentric_core import Axis, Frame, FrameHeader, Optics, StagePosition, utc_now

from .._sessions import SessionCounter
from ._controls import ColumnSettings
from ._stack import Exposure

__all__ = ["FrameFactory", "Moment", "ScanView", "optics_of", "position_of"]

_M2_PER_A2 = 1e-20


@dataclass(frozen=True, slots=True)
class ScanView:
    """What is scanned: the width of the field and its rotation."""

    field_of_view_m: float
    rotation_rad: float


@dataclass(frozen=True, slots=True)
class Moment:
    """When an acquisition began."""

    monotonic_s: float = field(default_factory=time.monotonic)
    utc: datetime = field(default_factory=utc_now)


def position_of(stage_m: tuple[float, float]) -> StagePosition:
    """The stage's (x, y) as a position; this stage has no other axis."""
    return StagePosition(x_m=stage_m[0], y_m=stage_m[1])


def optics_of(column: ColumnSettings, view: ScanView, dwell_time_s: float | None) -> Optics:
    """What the instrument says about itself; no current reaches the specimen while it is blanked."""
    return Optics(
        high_tension_v=column.high_tension_v,
        beam_current_a=0.0 if column.blanked else column.beam_current_a,
        convergence_angle_rad=column.convergence_angle_rad,
        defocus_m=column.defocus_m,
        field_of_view_m=view.field_of_view_m,
        dwell_time_s=dwell_time_s,
        scan_rotation_rad=view.rotation_rad,
    )


class FrameFactory:
    """Gives frames their headers and numbers.

    Args:
        instrument: name in every header.
        material: what the specimen is made of, unless the session says; None where it is not known.
        sessions: counts the acquisitions.
    """

    def __init__(self, instrument: str, material: str | None, sessions: SessionCounter) -> None:
        self._instrument = instrument
        self._material = material
        self._sessions = sessions

    def scanned(
        self,
        image: NDArray[np.float32] | NDArray[np.uint16],
        began: Moment,
        column: ColumnSettings,
        view: ScanView,
        *,
        dwell_time_s: float,
        dose_e_per_m2: float,
    ) -> Frame:
        """A frame of the annular detector."""
        pixel = view.field_of_view_m / image.shape[1]
        axes = (Axis(name="y", unit="m", scale=pixel), Axis(name="x", unit="m", scale=pixel))
        optics = optics_of(column, view, dwell_time_s)
        return self._frame("haadf", image, began, axes, column, optics, dose_e_per_m2 * _M2_PER_A2)

    def exposed(
        self, camera: str, exposure: Exposure, began: Moment, column: ColumnSettings, view: ScanView
    ) -> Frame:
        """A frame of a camera. What the parked probe does to the specimen is not known."""
        (y_offset, y_scale), (x_offset, x_scale) = exposure.axes
        if camera == "eels":
            axes = (
                Axis(name="y", unit="px", scale=1.0),
                Axis(name="energy_loss", unit="eV", scale=x_scale, offset=x_offset),
            )
        else:
            axes = (
                Axis(name="y", unit="rad", scale=y_scale, offset=y_offset),
                Axis(name="x", unit="rad", scale=x_scale, offset=x_offset),
            )
        return self._frame(camera, exposure.array, began, axes, column, optics_of(column, view, None), None)

    def spectrum(
        self, spectrometer: str, exposure: Exposure, began: Moment, column: ColumnSettings, view: ScanView
    ) -> Frame:
        """The rows of a spectrometer's camera, summed."""
        offset, scale = exposure.axes[1]
        counts = exposure.array.sum(axis=0, dtype=np.float64).astype(np.float32)
        axes = (Axis(name="energy_loss", unit="eV", scale=scale, offset=offset),)
        return self._frame(spectrometer, counts, began, axes, column, optics_of(column, view, None), None)

    def _frame(
        self,
        stream: str,
        array: NDArray[np.float32] | NDArray[np.uint16],
        began: Moment,
        axes: tuple[Axis, ...],
        column: ColumnSettings,
        optics: Optics,
        dose_e_per_a2: float | None,
    ) -> Frame:
        session = self._sessions.require()
        header = FrameHeader(
            instrument=self._instrument,
            session=session.name,
            stream=stream,
            sequence=self._sessions.take(),
            scan=self._sessions.scan,
            acquired_utc=began.utc,
            acquired_monotonic_s=began.monotonic_s,
            shape=array.shape,
            dtype=array.dtype.name,
            simulated=True,
            axes=axes,
            optics=optics,
            stage=position_of(column.stage_m),
            dose_e_per_a2=dose_e_per_a2,
            sample=session.sample,
            material=session.material or self._material,
        )
        return Frame(header, array)
