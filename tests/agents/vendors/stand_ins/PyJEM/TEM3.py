# ruff: noqa: N802
# mypy: disable-error-code="import-not-found, misc"
"""A recording stand-in of `PyJEM.TEM3`: the published names and units, a state, and nothing else."""

from __future__ import annotations

from threading import Event
from typing import Any

from vendor_journal import OneThread, record


class State:
    """The microscope: one, however many objects speak to it."""

    def __init__(self) -> None:
        self.position: list[float] = [0.0] * 5
        self.status: list[int] = [0] * 5
        self.range_nm = 100_000.0
        self.blank = 0
        self.vectors = {"CLA1": [32768, 32768], "CLs": [32768, 32768]}
        self.objective = 32768
        self.magnifications = {10: 200_000, 20: 1_000_000, 21: 1_200_000}
        self.selector = 20
        self.high_tension_v = 200_000.0
        self.valve = 0
        self.stem = 1
        self.may_move = Event()
        self.may_move.set()


STATE = State()


def connect() -> bool:
    """Connect to the microscope."""
    record("connect")
    return True


class Stage3(OneThread):
    """Positions in nm, tilts in degrees; a move beyond the range is ignored, as in the offline module."""

    def GetPos(self) -> list[float]:
        self._check_thread()
        return list(STATE.position)

    def GetStatus(self) -> list[int]:
        self._check_thread()
        return list(STATE.status)

    def SetX(self, value: float) -> None:
        self._go("SetX", 0, value, STATE.range_nm, "nm")

    def SetY(self, value: float) -> None:
        self._go("SetY", 1, value, STATE.range_nm, "nm")

    def SetZ(self, value: float) -> None:
        self._go("SetZ", 2, value, STATE.range_nm, "nm")

    def SetTiltXAngle(self, value: float) -> None:
        self._go("SetTiltXAngle", 3, value, 90.0, "degree")

    def SetTiltYAngle(self, value: float) -> None:
        self._go("SetTiltYAngle", 4, value, 90.0, "degree")

    def Stop(self) -> None:
        self._check_thread()
        record("Stage3.Stop")

    def _go(self, name: str, axis: int, value: float, reach: float, unit: str) -> None:
        self._check_thread()
        record(f"Stage3.{name}", value, unit=unit)
        STATE.may_move.wait(10)
        if abs(value) <= reach:
            STATE.position[axis] = value


class Def3(OneThread):
    """Deflectors and stigmators in counts from 0 to 65535."""

    def GetBeamBlank(self) -> int:
        self._check_thread()
        return STATE.blank

    def SetBeamBlank(self, sw: int) -> None:
        self._check_thread()
        record("Def3.SetBeamBlank", sw)
        STATE.blank = _whole(sw)

    def GetCLA1(self) -> list[int]:
        return list(STATE.vectors["CLA1"])

    def SetCLA1(self, x: int, y: int) -> None:
        self._set("CLA1", x, y)

    def GetCLs(self) -> list[int]:
        return list(STATE.vectors["CLs"])

    def SetCLs(self, x: int, y: int) -> None:
        self._set("CLs", x, y)

    def _set(self, name: str, x: int, y: int) -> None:
        self._check_thread()
        record(f"Def3.Set{name}", x, y, unit="counts")
        STATE.vectors[name] = [_counts(x), _counts(y)]


class Lens3(OneThread):
    """Lenses in counts from 0 to 65535."""

    def GetOLc(self) -> int:
        self._check_thread()
        return STATE.objective

    def SetOLc(self, value: int) -> None:
        self._check_thread()
        record("Lens3.SetOLc", value, unit="counts")
        STATE.objective = _counts(value)


class EOS3(OneThread):
    """Electron optics: magnification by the index of the selector."""

    def GetMagValue(self) -> list[Any]:
        self._check_thread()
        magnification = STATE.magnifications[STATE.selector]
        return [magnification, "X", f"X{magnification // 1000}k"]

    def SetSelector(self, value: int) -> None:
        self._check_thread()
        record("EOS3.SetSelector", value, unit="index")
        STATE.selector = _whole(value)

    def GetTemStemMode(self) -> int:
        self._check_thread()
        return STATE.stem


class HT3(OneThread):
    """High tension in volts."""

    def GetHtValue(self) -> float:
        self._check_thread()
        return STATE.high_tension_v


class FEG3(OneThread):
    """The gun's valve."""

    def GetBeamValve(self) -> int:
        self._check_thread()
        return STATE.valve

    def SetBeamValve(self, sw: int) -> None:
        self._check_thread()
        record("FEG3.SetBeamValve", sw)
        STATE.valve = _whole(sw)


def _whole(value: int) -> int:
    if type(value) is not int:
        raise TypeError(f"an int is wanted, not {value!r}")
    return value


def _counts(value: int) -> int:
    if not 0 <= _whole(value) <= 65535:
        raise ValueError(f"{value} counts are out of range")
    return value
