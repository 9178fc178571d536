# ruff: noqa: N802, N803
# mypy: disable-error-code="import-not-found, misc"
"""A recording stand-in of `PyJEM.detector`: the published names and units, a state, and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from vendor_journal import OneThread, record


class State:
    """The detectors' settings."""

    def __init__(self) -> None:
        self.names = ["ADF1", "BF"]
        self.setting: dict[str, Any] = {"ExposureTimeValue": 10.0, "ScanRotation": 0.0, "scanMode": 0}
        self.area = (512, 512)
        self.spot = (0, 0)
        self.longest_us = 1000.0
        self.snapshots = 0


STATE = State()


def get_attached_detector() -> list[str]:
    """Names of the detectors."""
    record("get_attached_detector")
    return list(STATE.names)


class Detector(OneThread):
    """One detector; a dwell time is given in microseconds, a scan rotation in degrees."""

    def __init__(self, detectorName: str) -> None:
        super().__init__()
        if detectorName not in STATE.names:
            raise RuntimeError("[PyJEM Exception] The input detector can not be used.")
        self._name = detectorName

    def get_detectorsetting(self) -> dict[str, Any]:
        self._check_thread()
        return dict(STATE.setting)

    def set_scanmode(self, value: int) -> dict[str, Any]:
        return self._set("set_scanmode", "scanMode", value, "0 scan, 1 area, 3 spot")

    def set_exposuretime_value(self, value: float) -> dict[str, Any]:
        return self._set("set_exposuretime_value", "ExposureTimeValue", min(value, STATE.longest_us), "us")

    def set_scanrotation(self, value: float) -> dict[str, Any]:
        if not 0 <= value <= 360:
            raise ValueError(f"{value} is not between 0 and 360 degrees")
        return self._set("set_scanrotation", "ScanRotation", value, "degree")

    def set_imaging_area(
        self, Width: int, Height: int, X: int | None = None, Y: int | None = None
    ) -> dict[str, Any]:
        self._check_thread()
        record("set_imaging_area", Width, Height, X, Y, unit="px")
        STATE.area = (Height, Width)
        return {}

    def set_spotposition(self, X: int, Y: int) -> dict[str, Any]:
        self._check_thread()
        record("set_spotposition", X, Y, unit="px")
        STATE.spot = (X, Y)
        return {}

    def snapshot_rawdata(self) -> bytes:
        self._check_thread()
        record("snapshot_rawdata", self._name)
        STATE.snapshots += 1
        return np.full(STATE.area, STATE.snapshots, "<u2").tobytes()

    def AutoFocus(self) -> dict[str, Any]:
        self._check_thread()
        record("AutoFocus", self._name)
        return {}

    def _set(self, name: str, key: str, value: Any, unit: str) -> dict[str, Any]:
        self._check_thread()
        record(name, value, unit=unit)
        STATE.setting[key] = value
        return {key: value}
