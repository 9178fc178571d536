"""A stage that does not quite go where it is told, and does not quite know where it is."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eucentric_core import StagePosition
from eucentric_core.vocabulary import MoveReport

from .._errors import MoveHaltedError
from ._options import StageOptions

__all__ = ["TwinStage", "play"]

_Vector = NDArray[np.float64]


def play(load: _Vector, drive: _Vector, backlash: float) -> _Vector:
    """Where the load is after the drive has moved: it follows only once the backlash is used up.

    The play operator of hysteresis (Krejci, Hysteresis, Convexity and Dissipation, 1996), element-wise;
    `backlash` is the full width of the dead band, in the unit of the positions.
    """
    return np.minimum(np.maximum(load, drive - backlash / 2), drive + backlash / 2)


@dataclass(frozen=True, slots=True)
class _Motion:
    start: _Vector
    target: _Vector
    started_s: float
    duration_s: float

    def drive(self, now_s: float) -> _Vector:
        if self.duration_s == 0 or now_s >= self.started_s + self.duration_s:
            return self.target
        return self.start + (self.target - self.start) * ((now_s - self.started_s) / self.duration_s)


class TwinStage:
    """Three axes (x, y, z) with backlash, scatter, encoder steps and a speed. Any thread may ask or halt.

    Args:
        options: the errors' sizes.
        rng: source of the scatter.
    """

    def __init__(self, options: StageOptions, rng: np.random.Generator) -> None:
        self._options = options
        self._rng = rng
        self._lock = threading.Lock()
        self._halted = threading.Event()
        self._drive = np.zeros(3)
        self._load = np.zeros(3)
        self._scatter = np.zeros(3)
        self._commanded = np.zeros(3)
        self._motion: _Motion | None = None

    def move(self, target_m: tuple[float | None, float | None, float | None]) -> None:
        """Go to (x, y, z) and settle; None leaves an axis where it was commanded to last.

        Raises:
            MoveHaltedError: it was halted on the way.
        """
        options = self._options
        with self._lock:
            target = np.array(
                [c if t is None else t for t, c in zip(target_m, self._commanded, strict=True)], float
            )
            duration_s = float(np.max(np.abs(target - self._drive))) / options.speed_m_per_s
            moved = target != self._drive
            self._commanded = target
            self._motion = _Motion(self._drive, target, time.monotonic(), duration_s)
            self._halted.clear()
        halted = self._halted.wait(duration_s + options.settle_time_s)
        with self._lock:
            self._follow()
            self._motion = None
            scatter = self._rng.normal(0.0, options.repeatability_m, 3)
            self._scatter = np.where(moved, scatter, self._scatter)
        if halted:
            where = self.report().reported
            raise MoveHaltedError(
                f"The stage was halted at x {where.x_m:.3e} m, y {where.y_m:.3e} m.",
                safe="it stands still there.",
                next_step="read the stage, then move again if that is safe.",
            )

    def halt(self) -> None:
        """Stand still where it is; returns at once."""
        self._halted.set()

    @property
    def actual_m(self) -> tuple[float, float, float]:
        """Where (x, y, z) the specimen holder truly is, also on the way."""
        with self._lock:
            self._follow()
            x, y, z = self._load + self._scatter
            return float(x), float(y), float(z)

    def report(self) -> MoveReport:
        """Commanded, reported (by an encoder on the drive's side of the backlash) and actual position."""
        options = self._options
        actual = self.actual_m
        with self._lock:
            steps = np.rint(self._drive / options.encoder_quantum_m)
            return MoveReport(
                commanded=_position(self._commanded),
                reported=_position(steps * options.encoder_quantum_m),
                actual=_position(np.array(actual)),
                tolerance_m=options.backlash_m / 2 + 4 * options.repeatability_m + options.encoder_quantum_m,
                settle_time_s=options.settle_time_s,
            )

    def _follow(self) -> None:
        if self._motion is not None:
            self._drive = self._motion.drive(time.monotonic())
            self._load = play(self._load, self._drive, self._options.backlash_m)


def _position(vector_m: _Vector) -> StagePosition:
    x, y, z = (float(value) for value in vector_m)
    return StagePosition(x_m=x, y_m=y, z_m=z)
