"""Frames of the twin: scanned images, camera frames and spectra, from the dose to the header."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime

import numpy as np
import numpy.typing as npt

from eucentric_core import Axis, Frame, FrameHeader, utc_now
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, ScanStream, SpectrumAcquire
from eucentric_models.image_formation import ImagingConditions, detect
from eucentric_models.view import View

from .._errors import ScanAbortedError
from .._scan_loop import ScanLoop
from .._sessions import SessionCounter
from .._truth import truth_of
from ._column import Column, ColumnState
from ._eels import ENERGY_AXIS, energy_loss_spectrum
from ._exposure import Exposure
from ._faults import FaultSwitch
from ._hardware_log import HardwareLog
from ._options import TwinOptions
from ._ronchigram import ronchigram, ronchigram_axes
from ._stage import TwinStage

__all__ = ["Detectors"]

_M2_PER_A2 = 1e-20
_NOWHERE = View((1.0, 1.0))
"""A place far from any specimen: what the detector sees of it is a dark frame."""
_STALL_POLL_S = 0.02
_SPECTRUM_PX = 16


class Detectors:
    """Annular detector, camera and spectrometer. All methods run on the thread that holds the scan loop.

    Args:
        name: the instrument's name in every header.
        options: the twin's.
        parts: exposure, column and stage to look at.
        sessions: numbers the frames.
        faults: what is broken.
        log: what the hardware was told.
        sink: receives the frames.
        rngs: noise of the annular detector, and of camera and spectrometer.
    """

    def __init__(
        self,
        name: str,
        options: TwinOptions,
        parts: tuple[Exposure, Column, TwinStage],
        sessions: SessionCounter,
        faults: FaultSwitch,
        log: HardwareLog,
        sink: Callable[[Frame], None],
        rngs: tuple[np.random.Generator, np.random.Generator],
    ) -> None:
        self._name = name
        self._options = options
        self._exposure, self._column, self._stage = parts
        self._sessions = sessions
        self._faults = faults
        self._log = log
        self._sink = sink
        self._frame_rng, self._camera_rng = rngs

    def scan(self, command: ScanAcquire | ScanStream, loop: ScanLoop) -> int:
        """Scan one frame and publish `truth` and `haadf`; its sequence number.

        Raises:
            ScanAbortedError: the detector stalled and the scan was aborted.
        """
        shape = (command.height_px, command.width_px)
        began_s, began_utc = time.monotonic(), utc_now()
        frame_time_s = command.dwell_time_s * shape[0] * shape[1]
        self._log.write("scan.begin", **command.model_dump(exclude={"verb"}), dark=self._column.state.dark)
        self._stall(loop)
        stage = self._stage.report()
        column, lit_s = self._column.step(), time.monotonic()
        sight, view = self._exposure.look(column)
        self._exposure.wait(frame_time_s)
        z_m = stage.actual.z_m if stage.actual is not None else 0.0
        conditions = self._column.conditions(
            column, width_px=command.width_px, dwell_time_s=command.dwell_time_s, z_m=z_m
        )
        if column.dark:
            view = _NOWHERE
            conditions = conditions.model_copy(update={"background_fraction": 0.0})
        frame = sight.frame(conditions, shape, self._frame_rng, view)
        image: npt.NDArray[np.generic] = frame.frame
        lit_rows = shape[0]
        if self._options.real_time:
            loop.pause(lit_s + frame_time_s - time.monotonic())
            lit_rows = self._lit_rows(lit_s, frame_time_s, shape[0])
            image = self._darkened(image, conditions, lit_rows)
        fluence = 0.0 if column.dark else conditions.dose_electrons_per_m2
        self._expose(view, shape, conditions.pixel_size_m, lit_rows, fluence)
        if column.dark:
            self._expose_late(lit_s)
        share = 0.0 if column.dark else lit_rows / shape[0]
        self._log.write("scan.end", exposed_share=share)

        pixel = conditions.pixel_size_m
        axes = (Axis(name="y", unit="m", scale=pixel), Axis(name="x", unit="m", scale=pixel))
        header = self._header(
            "haadf", image, axes, column, began_s, began_utc, command.dwell_time_s
        ).model_copy(update={"stage": stage.reported, "dose_e_per_a2": fluence * share * _M2_PER_A2})
        self._sink(truth_of(header, frame.truth, sight.classes))
        self._sink(Frame(header, image))
        return header.sequence

    def camera(self, command: CameraAcquire, loop: ScanLoop) -> int:
        """Take one Ronchigram and publish it; its sequence number.

        Raises:
            ScanAbortedError: it was aborted.
        """
        began_s, began_utc = time.monotonic(), utc_now()
        column = self._column.state
        sight, view = self._exposure.look(column)
        dose = self._expose_spot(column, command.exposure_s, loop)
        image = ronchigram(
            sight,
            self._column.conditions(column, width_px=512, dwell_time_s=1e-6, z_m=self._stage.actual_m[2]),
            self._exposure.spot(column, view),
            self._camera_rng,
            exposure_s=command.exposure_s,
            binning=command.binning,
            spherical_aberration_m=self._options.column.spherical_aberration_m,
            dark=column.dark,
        )
        axes = ronchigram_axes(self._options.column.convergence_angle_rad, command.binning)
        return self._publish("ronchigram", image, axes, column, began_s, began_utc, dose)

    def spectrum(self, command: SpectrumAcquire, loop: ScanLoop) -> int:
        """Take one energy-loss spectrum at the parked probe and publish it; its sequence number.

        Raises:
            ScanAbortedError: it was aborted.
        """
        began_s, began_utc = time.monotonic(), utc_now()
        column = self._column.state
        sight, view = self._exposure.look(column)
        dose = self._expose_spot(column, command.exposure_s, loop)
        conditions = self._column.conditions(
            column, width_px=512, dwell_time_s=1e-6, z_m=self._stage.actual_m[2]
        )
        spot_m = np.sqrt(max(conditions.probe_covariance_m2[:2]))
        near = conditions.model_copy(update={"pixel_size_m": max(spot_m / 4, 1e-12)})
        patch = sight.share(near, (_SPECTRUM_PX, _SPECTRUM_PX), self._exposure.spot(column, view))
        counts = energy_loss_spectrum(
            float(patch.mean()),
            self._camera_rng,
            beam_current_a=0.0 if column.dark else column.beam_current_a,
            exposure_s=command.exposure_s,
        )
        return self._publish("eels", counts, (ENERGY_AXIS,), column, began_s, began_utc, dose)

    def _expose_spot(self, column: ColumnState, exposure_s: float, loop: ScanLoop) -> float:
        began_s = time.monotonic()
        self._log.write("exposure.begin", exposure_s=exposure_s, dark=column.dark)
        self._stall(loop)
        if self._options.real_time and loop.pause(exposure_s):
            self._exposure.stand(column, time.monotonic() - began_s)
            raise _aborted()
        self._exposure.wait(exposure_s)
        dose = self._exposure.stand(column, exposure_s)
        self._log.write("exposure.end")
        return dose

    def _stall(self, loop: ScanLoop) -> None:
        began_s, column = time.monotonic(), self._column.state
        while self._faults.current.detector_stalls:
            aborted = loop.pause(_STALL_POLL_S)
            if aborted or not self._faults.current.detector_stalls:
                self._exposure.field(column, self._lit_until_s(began_s) - began_s)
                if aborted:
                    raise _aborted()

    def _lit_until_s(self, began_s: float) -> float:
        """When the beam was taken away, or now."""
        state = self._column.state
        return state.turned_s if state.dark and state.turned_s > began_s else time.monotonic()

    def _lit_rows(self, began_s: float, frame_time_s: float, rows: int) -> int:
        """Rows scanned before the beam was taken away or the scan was aborted."""
        share = (self._lit_until_s(began_s) - began_s) / frame_time_s
        return int(np.clip(np.ceil(rows * share), 0, rows))

    def _expose_late(self, began_s: float) -> None:
        """A frame that began dark stays dark, but a beam that came on meanwhile has left its dose."""
        state = self._column.state
        if not state.dark and state.turned_s > began_s:
            self._exposure.field(state, time.monotonic() - state.turned_s)

    def _darkened(
        self, image: npt.NDArray[np.generic], conditions: ImagingConditions, lit_rows: int
    ) -> npt.NDArray[np.generic]:
        if lit_rows == len(image):
            return image
        dark = np.zeros((len(image) - lit_rows, image.shape[1]), np.float32)
        return np.concatenate([image[:lit_rows], detect(dark, conditions, self._camera_rng)])

    def _expose(
        self, view: View, shape: tuple[int, int], pixel_m: float, lit_rows: int, fluence: float
    ) -> None:
        half = (lit_rows * pixel_m / 2, shape[1] * pixel_m / 2)
        if lit_rows < shape[0]:
            above = -(shape[0] - lit_rows) * pixel_m / 2
            view = View(view.place_m((above, 0.0)), view.rotation_rad, view.foreshortening)
        self._exposure.scan(view, half, fluence if lit_rows else 0.0)

    def _publish(
        self,
        stream: str,
        array: npt.NDArray[np.generic],
        axes: Sequence[Axis],
        column: ColumnState,
        began_s: float,
        began_utc: datetime,
        fluence_e_per_m2: float,
    ) -> int:
        header = self._header(stream, array, tuple(axes), column, began_s, began_utc, None)
        header = header.model_copy(update={"dose_e_per_a2": fluence_e_per_m2 * _M2_PER_A2})
        self._sink(Frame(header, array))
        return header.sequence

    def _header(
        self,
        stream: str,
        array: npt.NDArray[np.generic],
        axes: tuple[Axis, ...],
        column: ColumnState,
        began_s: float,
        began_utc: datetime,
        dwell_time_s: float | None,
    ) -> FrameHeader:
        session = self._sessions.require()
        return FrameHeader(
            instrument=self._name,
            session=session.name,
            stream=stream,
            sequence=self._sessions.take(),
            scan=self._sessions.scan,
            acquired_utc=began_utc,
            acquired_monotonic_s=began_s,
            shape=array.shape,
            dtype=array.dtype.name,
            simulated=True,
            axes=axes,
            optics=self._column.optics(column, dwell_time_s),
            stage=self._stage.report().reported,
            dose_e_per_a2=None,
            sample=session.sample,
            material=session.material or self._options.material,
        )


def _aborted() -> ScanAbortedError:
    return ScanAbortedError(
        "The acquisition was aborted before it was complete.",
        safe="nothing of it is published; what it dosed is counted.",
        next_step="acquire again when that is safe.",
    )
