"""Axes with backlash, scatter, encoder steps and a speed, all in one unit (metres or radians)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Axes", "play"]

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


class Axes:
    """Axes that move together. Not thread-safe; the stage holds its lock around them.

    Args:
        count: number of axes.
        backlash: full width of the dead band.
        repeatability: rms scatter of where a move ends.
        encoder_quantum: step of the encoder, which sits on the drive's side of the backlash.
        speed: of the drive, per second.
        rng: source of the scatter.
    """

    def __init__(
        self,
        count: int,
        *,
        backlash: float,
        repeatability: float,
        encoder_quantum: float,
        speed: float,
        rng: np.random.Generator,
    ) -> None:
        self._backlash = backlash
        self._repeatability = repeatability
        self._quantum = encoder_quantum
        self._speed = speed
        self._rng = rng
        self._drive = np.zeros(count)
        self._load = np.zeros(count)
        self._scatter = np.zeros(count)
        self._moved = np.zeros(count, bool)
        self._motion: _Motion | None = None
        self.commanded = np.zeros(count)

    def target(self, wanted: Sequence[float | None]) -> _Vector:
        """Where to go; None leaves an axis where it was commanded to last."""
        return np.array([c if w is None else w for w, c in zip(wanted, self.commanded, strict=True)], float)

    def begin(self, target: _Vector, *, share: float = 1.0) -> float:
        """Set off, and return the seconds it takes; a stuck drive ends after a `share` of the way."""
        end = self._drive + share * (target - self._drive) if share < 1 else target
        duration_s = float(np.max(np.abs(end - self._drive))) / self._speed
        self._moved = target != self._drive
        self.commanded = target
        self._motion = _Motion(self._drive, end, time.monotonic(), duration_s)
        return duration_s

    def end(self) -> None:
        """Stand still here."""
        self.follow()
        self._motion = None
        scatter = self._rng.normal(0.0, self._repeatability, len(self._drive))
        self._scatter = np.where(self._moved, scatter, self._scatter)

    def follow(self) -> None:
        """Bring drive and load to where they are by now."""
        if self._motion is not None:
            self._drive = self._motion.drive(time.monotonic())
            self._load = play(self._load, self._drive, self._backlash)

    def slip(self, axis: int, distance: float) -> None:
        """Drive and load leave together, unless they are on their way."""
        if self._motion is None:
            change = np.zeros(len(self._drive))
            change[axis] = distance
            self._drive, self._load = self._drive + change, self._load + change

    @property
    def actual(self) -> _Vector:
        """Where the load truly is, as of the last `follow`."""
        return self._load + self._scatter

    @property
    def reported(self) -> _Vector:
        """What the encoder says, as of the last `follow`."""
        return np.asarray(np.rint(self._drive / self._quantum) * self._quantum)

    @property
    def tolerance(self) -> float:
        """How far from its commanded position a move may honestly end."""
        return self._backlash / 2 + 4 * self._repeatability + self._quantum
