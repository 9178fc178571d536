"""Frames of the simulated Nion microscope: scanned images, camera frames and spectra, and their dose."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from eucentric_core import Frame
from eucentric_core.vocabulary import CameraAcquire, ScanAcquire, ScanStream, SpectrumAcquire
from eucentric_models.image_formation import ELEMENTARY_CHARGE_C
from eucentric_models.view import View

from .._errors import ScanAbortedError
from .._scan_loop import ScanLoop
from .._truth import truth_of
from ._frames import FrameFactory, Moment, ScanView
from ._options import UsimOptions
from ._scan_source import ScanSource
from ._specimen import SpecimenScene
from ._stack import NionStack

__all__ = ["Detectors"]


class Detectors:
    """Nion's scan device and cameras. All methods run on the thread that holds the scan loop.

    Args:
        options: the driver's.
        stack: Nion's devices.
        source: what the scan device reads out.
        specimen: the digital twin's; None for Nion's own sample.
        frames: gives the frames their headers.
        sink: receives them.
    """

    def __init__(
        self,
        options: UsimOptions,
        stack: NionStack,
        source: ScanSource,
        specimen: SpecimenScene | None,
        frames: FrameFactory,
        sink: Callable[[Frame], None],
    ) -> None:
        self._dtype = options.detector.output if specimen is not None else "float32"
        self._stack = stack
        self._source = source
        self._specimen = specimen
        self._frames = frames
        self._sink = sink

    def scan(self, command: ScanAcquire | ScanStream, view: ScanView, loop: ScanLoop) -> int:
        """Scan one frame and publish `truth` and `haadf`; its sequence number.

        Raises:
            ScanAbortedError: it was aborted; what it dosed is counted.
            EucentricError: Nion's software failed.
        """
        began = Moment()
        shape = (command.height_px, command.width_px)
        pixel_m = view.field_of_view_m / shape[1]
        frame_time_s = command.dwell_time_s * shape[0] * shape[1]
        try:
            image = self._stack.scan(
                shape,
                pixel_size_m=pixel_m,
                dwell_time_s=command.dwell_time_s,
                rotation_rad=view.rotation_rad,
                pause=loop.pause,
            )
        except ScanAbortedError:
            self._count_aborted(command, view, (time.monotonic() - began.monotonic_s) / frame_time_s)
            raise
        scanned = self._source.scanned(image)
        electrons = scanned.column.beam_current_a * command.dwell_time_s / ELEMENTARY_CHARGE_C
        dose = scanned.lit_share * electrons / pixel_m**2
        frame = self._frames.scanned(
            image.astype(self._dtype, copy=False),
            began,
            scanned.column,
            view,
            dwell_time_s=command.dwell_time_s,
            dose_e_per_m2=dose,
        )
        if self._specimen is not None and scanned.truth is not None:
            where = self._specimen.view(scanned.column, view.rotation_rad)
            classes = self._specimen.classes
            self._specimen.expose(where, (shape[0] * pixel_m / 2, shape[1] * pixel_m / 2), dose)
            self._specimen.wait(frame_time_s)
            self._sink(truth_of(frame.header, scanned.truth, classes))
        self._sink(frame)
        return frame.header.sequence

    def camera(self, command: CameraAcquire, view: ScanView, loop: ScanLoop) -> int:
        """Take one camera frame and publish it; its sequence number. Errors as `scan`."""
        began, column = Moment(), self._stack.controls.settings()
        exposure = self._stack.expose(
            command.camera, exposure_s=command.exposure_s, binning=command.binning, pause=loop.pause
        )
        frame = self._frames.exposed(command.camera, exposure, began, column, view)
        self._sink(frame)
        return frame.header.sequence

    def spectrum(self, command: SpectrumAcquire, view: ScanView, loop: ScanLoop) -> int:
        """Take one spectrum, the summed rows of its camera, and publish it; its sequence number.

        Errors as `scan`.
        """
        began, column = Moment(), self._stack.controls.settings()
        exposure = self._stack.expose(
            command.spectrometer, exposure_s=command.exposure_s, binning=1, pause=loop.pause
        )
        frame = self._frames.spectrum(command.spectrometer, exposure, began, column, view)
        self._sink(frame)
        return frame.header.sequence

    def _count_aborted(self, command: ScanAcquire | ScanStream, view: ScanView, share_of_time: float) -> None:
        column = self._source.given_up()
        if self._specimen is None or column is None or column.blanked:
            return
        pixel_m = view.field_of_view_m / command.width_px
        rows = int(np.clip(np.ceil(share_of_time * command.height_px), 0, command.height_px))
        above_m = -(command.height_px - rows) * pixel_m / 2
        where = self._specimen.view(column, view.rotation_rad)
        scanned = View(where.place_m((above_m, 0.0)), where.rotation_rad)
        electrons = column.beam_current_a * command.dwell_time_s / ELEMENTARY_CHARGE_C
        self._specimen.expose(scanned, (rows * pixel_m / 2, view.field_of_view_m / 2), electrons / pixel_m**2)
