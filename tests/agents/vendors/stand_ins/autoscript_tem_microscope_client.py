# mypy: disable-error-code="import-not-found, misc"
"""A recording stand-in of AutoScript TEM's client: the published names, a state, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from vendor_journal import OneThread, record

__path__ = [str(Path(__file__).with_name("autoscript_parts"))]

from autoscript_tem_microscope_client.structures import (
    AdornedImage,
    Point,
    RunStemAutoFocusSettings,
    StagePosition,
)


class State:
    """The microscope: one, however many clients are connected."""

    def __init__(self) -> None:
        self.position = StagePosition(0.0, 0.0, 0.0, 0.0, None)
        self.holder = "SingleTilt"
        self.looks_until_still = 2
        self.moving = 0
        self.blanked = False
        self.unblanks_to_image = False
        self.valves = "Closed"
        self.images = 0
        self.connected = 0
        self.optics: dict[str, Any] = {
            "optical_mode": "Stem",
            "defocus": 0.0,
            "scan_field_of_view": 1e-7,
            "scan_rotation": 0.0,
            "paused_scan_beam_position": [0.5, 0.5],
        }
        self.beam_shift = Point(0.0, 0.0)


STATE = State()


class _Stage(OneThread):
    @property
    def position(self) -> StagePosition:
        self._check_thread()
        return STATE.position

    @property
    def is_moving(self) -> bool:
        self._check_thread()
        STATE.moving = max(0, STATE.moving - 1)
        return STATE.moving > 0

    def get_holder_type(self) -> str:
        return STATE.holder

    def get_axis_limits(self, axis: str) -> SimpleNamespace:
        reach = {"x": 1e-3, "y": 1e-3, "z": 4e-4, "a": 1.2, "b": 0.5}[axis]
        return SimpleNamespace(min=-reach, max=reach)

    def absolute_move_safe(self, position: StagePosition) -> None:
        self._check_thread()
        record("absolute_move_safe", position, unit="m, rad")
        told = {axis: value for axis, value in vars(position).items() if value is not None}
        STATE.position = StagePosition(**{**vars(STATE.position), **told})
        STATE.moving = STATE.looks_until_still

    def stop_jogging(self) -> None:
        self._check_thread()
        record("stop_jogging")


class _Blanker(OneThread):
    @property
    def is_beam_blanked(self) -> bool:
        self._check_thread()
        return STATE.blanked

    def blank(self) -> None:
        self._check_thread()
        record("blank")
        STATE.blanked = True

    def unblank(self) -> None:
        self._check_thread()
        record("unblank")
        STATE.blanked = False


class _Deflectors(OneThread):
    @property
    def beam_shift(self) -> Point:
        self._check_thread()
        return STATE.beam_shift

    @beam_shift.setter
    def beam_shift(self, value: tuple[float, float]) -> None:
        self._check_thread()
        record("beam_shift", *value, unit="m")
        STATE.beam_shift = Point(*value)


class _Optics(OneThread):
    """Reads and takes the published names and no others."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "blanker", _Blanker())
        object.__setattr__(self, "deflectors", _Deflectors())

    def __getattr__(self, name: str) -> Any:
        if name not in STATE.optics:
            raise AttributeError(f"AutoScript's optics have no {name}")
        self._check_thread()
        return STATE.optics[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "_maker":
            object.__setattr__(self, name, value)
        elif name not in STATE.optics:
            raise AttributeError(f"AutoScript's optics have no {name}")
        else:
            self._check_thread()
            record(name, value, unit="m, rad or fraction")
            STATE.optics[name] = value


class _Acquisition(OneThread):
    def acquire_stem_image(self, scanning_detector: str, size: int, dwell_time: float) -> AdornedImage:
        self._check_thread()
        record("acquire_stem_image", scanning_detector, size, dwell_time, unit="px, s")
        if STATE.unblanks_to_image:
            STATE.blanked = False
        return _image(size)

    def acquire_camera_image(self, camera_detector: str, size: int, exposure_time: float) -> AdornedImage:
        self._check_thread()
        record("acquire_camera_image", camera_detector, size, exposure_time, unit="px, s")
        return _image(size)


class _AutoFunctions(OneThread):
    def run_stem_auto_focus(self, settings: RunStemAutoFocusSettings) -> None:
        self._check_thread()
        record("run_stem_auto_focus", settings, unit="px, s")
        STATE.optics["defocus"] = -1.5e-8


class _Valves(OneThread):
    @property
    def state(self) -> str:
        return STATE.valves

    def open(self) -> None:
        self._check_thread()
        record("column_valves.open")
        STATE.valves = "Opened"

    def close(self) -> None:
        self._check_thread()
        record("column_valves.close")
        STATE.valves = "Closed"


class TemMicroscopeClient:
    """A client; its parts answer only the thread that connected it."""

    def connect(self, host: str = "localhost", port: int = 9090) -> None:
        record("connect", host, port)
        STATE.connected += 1
        self.service = SimpleNamespace(system=SimpleNamespace(name="Spectra", version="1.0"))
        self.source = SimpleNamespace(acceleration_voltage=SimpleNamespace(value=200e3))
        self.specimen = SimpleNamespace(stage=_Stage())
        self.optics = _Optics()
        self.acquisition = _Acquisition()
        self.auto_functions = _AutoFunctions()
        self.vacuum = SimpleNamespace(column_valves=_Valves())
        self.detectors = SimpleNamespace(
            scanning_detectors=["HAADF", "BF-S"], camera_detectors=["BM-Ceta", "Flucam"]
        )

    def disconnect(self) -> None:
        record("disconnect")
        STATE.connected -= 1


def _image(size: int) -> AdornedImage:
    STATE.images += 1
    return AdornedImage(np.full((size, size), STATE.images, np.uint16))
