"""Nion's devices, put together: a column, a scan device and two cameras, without a window.

Nion's packages are licensed under the GPL-3.0. They are imported inside functions, when the driver is
opened, which happens in a process of its own.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ..vendor_api import VendorCallError
from ._controls import Controls
from ._scan_source import ScanSource

__all__ = ["CAMERAS", "SPECTROMETERS", "NionDevices", "start_devices"]

CAMERAS = ("ronchigram", "eels")
SPECTROMETERS = ("eels",)

_STEM = "usim_stem_controller"


@dataclass(frozen=True, slots=True)
class NionDevices:
    """What Nion's software calls its instrument controller and its hardware sources."""

    stem: Any
    scanner: Any
    cameras: dict[str, Any]
    controls: Controls
    blanker_listener: Any


def start_devices(source: ScanSource, opening: ExitStack) -> NionDevices:
    """Start Nion's devices with the beam blanked.

    Args:
        source: forms the frames that the scan device reads out, and follows the blanker.
        opening: gets what ends every thread and forgets the devices.

    Raises:
        VendorCallError: Nion's software did not start; its own messages say why.
    """
    loop = asyncio.new_event_loop()
    opening.callback(loop.close)
    # Nion's software asks the thread that starts it for its event loop, and the caller's may have none.
    with ThreadPoolExecutor(1, "nion-start", asyncio.set_event_loop, (loop,)) as starter:
        return starter.submit(_start, source, opening).result()


def _start(source: ScanSource, opening: ExitStack) -> NionDevices:
    from nion.instrumentation import HardwareSource, camera_base, scan_base
    from nion.usim_device import InstrumentDevice, ScanDevice
    from nion.usim_device.EELSCameraSimulator import EELSCameraSimulator
    from nion.usim_device.RonchigramCameraSimulator import RonchigramCameraSimulator
    from nion.utils import Registry
    from nion.utils.Geometry import IntSize

    settings_folder = Path(opening.enter_context(TemporaryDirectory(prefix="eucentric-usim-")))
    # The listeners come first: they turn registered devices into hardware sources.
    HardwareSource.run()
    opening.callback(HardwareSource.HardwareSourceManager().close)
    opening.callback(HardwareSource.stop)
    camera_base.run(settings_folder)
    opening.callback(camera_base.stop)
    scan_base.run(settings_folder)
    opening.callback(scan_base.stop)

    values = InstrumentDevice.ValueManager()
    generator: Any = source
    stem = InstrumentDevice.Instrument(_STEM, values, InstrumentDevice.AxisManager(), generator)
    controls = Controls(stem)
    controls.blank(True)

    def follow_blanker(name: str) -> None:
        if name == "is_blanked":
            source.follow_blanker(blanked=controls.blanked)

    listener = stem.property_changed_event.listen(follow_blanker)
    _register(opening, stem, {"instrument_controller", "stem_controller"})

    sizes = {name: IntSize.make(stem.camera_sensor_dimensions(name)) for name in CAMERAS}
    gain = stem.counts_per_electron
    values.eels_camera = _open_camera(
        opening, stem, "eels", EELSCameraSimulator(stem, sizes["eels"], gain), controls
    )
    values.ronchigram_camera = _open_camera(
        opening,
        stem,
        "ronchigram",
        RonchigramCameraSimulator(stem, sizes["ronchigram"], gain, stem.stage_size_nm),
        controls,
    )
    _register(opening, ScanDevice.ScanModule(stem), {"scan_module"})
    scanner = Registry.get_component("scan_hardware_source")
    cameras = {name: Registry.get_component(f"{name}_camera_hardware_source") for name in CAMERAS}
    if scanner is None or None in cameras.values():
        raise VendorCallError(
            "Nion's scan device or one of its cameras did not start.",
            safe="the beam is blanked and nothing was scanned.",
            next_step="see what Nion's software has printed, and install the versions that 'usim' names.",
        )
    return NionDevices(stem, scanner, cameras, controls, listener)


class _BlankableCamera:
    """Nion's `CameraSimulatorLike` that sees nothing if the beam is blanked when the exposure begins."""

    def __init__(self, simulator: Any, controls: Controls) -> None:
        self._simulator = simulator
        self._controls = controls

    def close(self) -> None:
        self._simulator.close()

    def get_dimensional_calibrations(self, readout_area: Any, binning_shape: Any) -> Any:
        return self._simulator.get_dimensional_calibrations(readout_area, binning_shape)

    def get_frame_data(
        self, readout_area: Any, binning_shape: Any, exposure_s: float, scan_context: Any, probe_position: Any
    ) -> Any:
        frame = self._simulator.get_frame_data(
            readout_area, binning_shape, exposure_s, scan_context, probe_position
        )
        return frame * 0.0 if self._controls.blanked else frame


def _open_camera(opening: ExitStack, stem: Any, kind: str, simulator: Any, controls: Controls) -> Any:
    from nion.device_kit import CameraDevice

    camera_id = f"usim_{kind}_camera"
    camera = CameraDevice.Camera(camera_id, kind, f"uSim {kind}", _BlankableCamera(simulator, controls), stem)
    module = CameraDevice.CameraModule(_STEM, camera, CameraDevice.CameraSettings(camera_id))
    _register(opening, module, {"camera_module"})
    return camera


def _register(opening: ExitStack, component: Any, kinds: set[str]) -> None:
    from nion.utils import Registry

    Registry.register_component(component, kinds)
    opening.callback(Registry.unregister_component, component, kinds)
