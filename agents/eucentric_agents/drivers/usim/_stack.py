"""What Nion's running devices are asked to do: scan, expose, park; an answer or a typed error for each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from eucentric_core import BusyError, UnsupportedError

from .._errors import ScanAbortedError
from ..vendor_api import VendorCallError, call_failed
from ._controls import Controls
from ._devices import start_devices
from ._scan_source import ScanSource

__all__ = ["Exposure", "NionStack", "nion_version", "require_nion"]

_NM = 1e-9
_LOOK_S = 0.005
_PATIENCE_S = 30.0
"""How much longer than its dwell times a scan may take before Nion's scan thread counts as dead."""

_one_per_process = threading.Lock()


class Exposure(NamedTuple):
    """A camera frame, (ny, nx) float32, and (offset, scale) of its axes: y, then x (rad) or energy (eV)."""

    array: NDArray[np.float32]
    axes: tuple[tuple[float, float], tuple[float, float]]


def require_nion() -> None:
    """Check that Nion's simulator is installed.

    Raises:
        UnsupportedError: it is not.
    """
    if find_spec("nion") is None or find_spec("nion.usim_device") is None:
        raise UnsupportedError(
            "Nion's simulator is not installed here.",
            safe="no instrument was touched.",
            next_step="install it: pip install 'eucentric[usim]'.",
        )


def nion_version() -> str:
    """Names and versions of the packages that make up the microscope."""
    return f"Nion uSim {version('nionswift-usim')}, instrumentation {version('nionswift-instrumentation')}"


class NionStack:
    """Nion's devices, running. Wakes up with the beam blanked. One at a time in a process.

    Args:
        source: forms the frames that Nion's scan device reads out.

    Raises:
        BusyError: this process has one already.
    """

    def __init__(self, source: ScanSource) -> None:
        if not _one_per_process.acquire(blocking=False):
            raise BusyError(
                "Nion's simulator is open already, and a process can have one.",
                safe="the one that is open goes on unchanged.",
                next_step="close it first, or open this one in another process.",
            )
        self._source = source
        with ExitStack() as opening:
            opening.callback(_one_per_process.release)
            self._devices = start_devices(source, opening)
            self._closing = opening.pop_all()
        self._closed = False

    @property
    def controls(self) -> Controls:
        """Nion's controls."""
        return self._devices.controls

    def close(self) -> None:
        """End every thread and forget the devices. Nothing may be scanning."""
        self._closed = True
        self._closing.close()

    def scan(
        self,
        shape: tuple[int, int],
        *,
        pixel_size_m: float,
        dwell_time_s: float,
        rotation_rad: float,
        pause: Callable[[float], bool],
    ) -> NDArray[np.float32]:
        """Scan one frame and return its detector signal, (ny, nx).

        Args:
            shape: (ny, nx).
            pixel_size_m: distance between scan positions.
            dwell_time_s: time per scan position.
            rotation_rad: of the scan, from x towards y.
            pause: waits for so long (s), but not beyond an abort; returns whether there was one.

        Raises:
            ScanAbortedError: it was aborted.
            BusyError: Nion's scan device is at work.
            VendorCallError: Nion's software delivered nothing.
        """
        parameters = _scan_parameters(shape, pixel_size_m, dwell_time_s, rotation_rad)
        deadline_s = time.monotonic() + shape[0] * shape[1] * dwell_time_s + _PATIENCE_S
        # The field in which Nion places the parked probe.
        self._devices.scanner.set_current_frame_parameters(parameters)
        try:
            task = self._devices.scanner.start_recording(frame_parameters=parameters)
        except AssertionError:
            raise BusyError(
                "Nion's scan device is at work.",
                safe="it goes on unchanged; nothing was queued.",
                next_step="abort it first (scan.abort).",
            ) from None
        aborted = False
        while not task.is_finished or self._devices.scanner.is_recording:
            if time.monotonic() > deadline_s:
                raise _silent("scan device")
            if not aborted and pause(_LOOK_S):
                aborted = True
                self._abort_recording()
            elif aborted:
                time.sleep(_LOOK_S)
        # It would keep the last twenty frames.
        self._devices.scanner.set_sequence_buffer_size(0)
        if aborted or pause(0):
            raise _aborted("scan")
        if task.is_error:
            raise call_failed("Nion's scan device", self._source.failure or RuntimeError("no reason given"))
        frames = task.grab_xdatas(timeout=_LOOK_S)
        if not frames or frames[0] is None or frames[0].data is None:
            raise _silent("scan device")
        return np.ascontiguousarray(frames[0].data, np.float32)

    def expose(
        self, camera: str, *, exposure_s: float, binning: int, pause: Callable[[float], bool]
    ) -> Exposure:
        """Take one camera frame; arguments and errors as `scan`."""
        from nion.instrumentation.camera_base import CameraFrameParameters

        source = self._devices.cameras[camera]
        parameters = CameraFrameParameters(exposure_ms=exposure_s * 1e3, binning=binning, integration_count=1)
        array = None
        try:
            source.acquire_sequence_begin(parameters, 1)
            # An abort before this line would have been forgotten: beginning clears it.
            if pause(0):
                source.acquire_sequence_cancel()
            partial = source.acquire_sequence_continue()
            if partial.is_complete and not partial.is_canceled:
                array = np.ascontiguousarray(partial.xdata.data[0], np.float32)
        except AssertionError as error:
            # What a cancelled exposure of a camera that has never taken a frame ends with.
            if not pause(0):
                raise call_failed("Nion's camera", error) from error
        finally:
            source.acquire_sequence_end()
        if pause(0):
            raise _aborted("exposure")
        if array is None:
            raise _silent("camera")
        y, x = source.get_camera_calibrations(parameters)
        return Exposure(array, ((y.offset, y.scale), (x.offset, x.scale)))

    def cancel_exposure(self) -> None:
        """End an exposure that is under way; returns at once, from any thread."""
        if not self._closed:
            for camera in self._devices.cameras.values():
                camera.acquire_sequence_cancel()

    def binnings(self, camera: str) -> tuple[int, ...]:
        """What a camera can sum up along each side."""
        return tuple(int(value) for value in self._devices.cameras[camera].binning_values)

    def park(
        self,
        place: tuple[float, float],
        shape: tuple[int, int],
        *,
        pixel_size_m: float,
        rotation_rad: float,
    ) -> None:
        """Put the probe at a place of a scanned field, (y, x) fractions from its top left corner.

        Raises:
            VendorCallError: the probe is not there.
        """
        from nion.utils.Geometry import FloatPoint

        field = _scan_parameters(shape, pixel_size_m, 1e-6, rotation_rad)
        self._devices.scanner.set_current_frame_parameters(field)
        self._devices.stem.set_probe_position(FloatPoint(y=place[0], x=place[1]))
        where = self._devices.stem.probe_position
        if where is None or (where.y, where.x) != place:
            raise VendorCallError(
                f"The probe was parked at {place} and is at {where}.",
                safe="nothing else was changed.",
                next_step="park it again; blank the beam if it must not stand there.",
            )

    def _abort_recording(self) -> None:
        try:
            self._devices.scanner.abort_recording()
        except AssertionError:
            # It has ended between Nion's own question and its answer.
            return


def _scan_parameters(
    shape: tuple[int, int], pixel_size_m: float, dwell_time_s: float, rotation_rad: float
) -> Any:
    from nion.device_kit.ScanDevice import ScanFrameParameters

    parameters = ScanFrameParameters(
        pixel_size=shape,
        pixel_time_us=dwell_time_s * 1e6,
        # The scan device takes it for the height of the field, whichever side is longer.
        fov_nm=pixel_size_m * shape[0] / _NM,
        rotation_rad=rotation_rad,
    )
    parameters.enabled_channel_indexes = [0]
    return parameters


def _aborted(what: str) -> ScanAbortedError:
    return ScanAbortedError(
        f"The {what} was aborted.",
        safe="nothing of it was published; the beam is as it was left.",
        next_step="start another one when that is wanted.",
    )


def _silent(device: str) -> VendorCallError:
    return VendorCallError(
        f"Nion's {device} delivered nothing.",
        safe="the beam can be blanked; nothing was published.",
        next_step="close and open the instrument: this starts Nion's software again.",
    )
