"""A vendor's arrays as frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eucentric_core import Axis, Frame, FrameHeader, Optics, StagePosition

from .._sessions import SessionCounter
from ._errors import VendorCallError

__all__ = ["FrameMaker", "Shot"]

_ELEMENTARY_CHARGE_C = 1.602176634e-19
_M2_PER_A2 = 1e-20


@dataclass(frozen=True, slots=True)
class Shot:
    """One acquisition: the array, and what was true when it began."""

    array: NDArray[Any]
    optics: Optics
    stage: StagePosition
    began_utc: datetime
    began_monotonic_s: float


class FrameMaker:
    """Gives a vendor's arrays their headers and numbers.

    Args:
        instrument: name in every header.
        simulated: whether the vendor's microscope is a simulation.
        sessions: counts the acquisitions.
    """

    def __init__(self, instrument: str, *, simulated: bool, sessions: SessionCounter) -> None:
        self._instrument = instrument
        self._simulated = simulated
        self._sessions = sessions

    def scanned(self, stream: str, shot: Shot, shape: tuple[int, int]) -> Frame:
        """A scanned image, calibrated by the field of view (the width of the frame).

        Raises:
            VendorCallError: the array does not have the shape that was commanded.
        """
        if shot.array.shape != shape:
            raise VendorCallError(
                f"A scan of {shape[0]} x {shape[1]} pixels gave an array of shape {list(shot.array.shape)}.",
                safe="the frame was not published.",
                next_step="check the frame sizes in the driver's options against the instrument.",
            )
        optics = shot.optics
        if optics.field_of_view_m is None:
            raise VendorCallError(
                "The field of view of the scan is not known.",
                safe="the frame was not published.",
                next_step="give the calibration of this magnification in the driver's options.",
            )
        pixel_m = optics.field_of_view_m / shape[1]
        axes = (Axis(name="y", unit="m", scale=pixel_m), Axis(name="x", unit="m", scale=pixel_m))
        dose = None
        if optics.beam_current_a is not None and optics.dwell_time_s is not None:
            electrons = optics.beam_current_a * optics.dwell_time_s / _ELEMENTARY_CHARGE_C
            dose = electrons / pixel_m**2 * _M2_PER_A2
        return self._frame(stream, shot, axes, dose)

    def camera(self, stream: str, shot: Shot, binning: int) -> Frame:
        """A camera frame; its axes count unbinned pixels, because the camera length is not calibrated."""
        axes = tuple(Axis(name=name, unit="px", scale=binning) for name in ("y", "x"))
        return self._frame(stream, shot, axes, None)

    def _frame(self, stream: str, shot: Shot, axes: tuple[Axis, ...], dose: float | None) -> Frame:
        session = self._sessions.require()
        array = np.ascontiguousarray(shot.array, dtype=shot.array.dtype.newbyteorder("="))
        header = FrameHeader(
            instrument=self._instrument,
            session=session.name,
            stream=stream,
            sequence=self._sessions.take(),
            scan=self._sessions.scan,
            acquired_utc=shot.began_utc,
            acquired_monotonic_s=shot.began_monotonic_s,
            shape=array.shape,
            dtype=array.dtype.name,
            simulated=self._simulated,
            axes=axes,
            optics=shot.optics,
            stage=shot.stage,
            dose_e_per_a2=dose,
            sample=session.sample,
            material=session.material,
        )
        return Frame(header, array)
