"""A stage that does not quite go where it is told, and does not quite know where it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from eucentric_core import StagePosition
from eucentric_core.vocabulary import MoveReport

from .._errors import MoveHaltedError
from ._axes import Axes
from ._faults import FaultSwitch
from ._hardware_log import HardwareLog
from ._options import StageOptions

__all__ = ["TwinStage"]

_Vector = NDArray[np.float64]

_TILT_QUANTUM_RAD = 1e-5


class TwinStage:
    """Five axes: x, y, z and the tilts alpha (about x) and beta (about y). Any thread may ask or halt.

    Args:
        options: the errors' sizes.
        rng: source of the scatter.
        faults: what is broken.
        log: what the drives were told.
    """

    def __init__(
        self, options: StageOptions, rng: np.random.Generator, faults: FaultSwitch, log: HardwareLog
    ) -> None:
        self._options = options
        self._faults = faults
        self._log = log
        self._lock = threading.Lock()
        self._halted = threading.Event()
        self._linear = Axes(
            3,
            backlash=options.backlash_m,
            repeatability=options.repeatability_m,
            encoder_quantum=options.encoder_quantum_m,
            speed=options.speed_m_per_s,
            rng=rng,
        )
        self._tilt = Axes(
            2,
            backlash=options.tilt_backlash_rad,
            repeatability=options.tilt_repeatability_rad,
            encoder_quantum=_TILT_QUANTUM_RAD,
            speed=options.tilt_speed_rad_per_s,
            rng=rng,
        )
        self._followed_s = time.monotonic()
        self._creep_m_per_s = 0.0

    def target_m(self, target_m: Sequence[float | None], *, relative: bool = False) -> tuple[float, ...]:
        """Where (x, y, z) a move would go; None leaves an axis where it was commanded to last."""
        with self._lock:
            if relative:
                return tuple(self._linear.commanded + np.array([d or 0.0 for d in target_m]))
            return tuple(self._linear.target(target_m))

    def move(self, target_m: Sequence[float | None]) -> None:
        """Go to (x, y, z) and settle; None leaves an axis where it was commanded to last.

        Raises:
            MoveHaltedError: it was halted on the way.
        """
        self._run(self._linear, target_m, "stage.move", ("x_m", "y_m", "z_m"))

    def tilt(self, target_rad: Sequence[float | None]) -> None:
        """Tilt to (alpha, beta) and settle; None leaves an axis where it was commanded to last.

        Raises:
            MoveHaltedError: it was halted on the way.
        """
        self._run(self._tilt, target_rad, "stage.tilt", ("alpha_rad", "beta_rad"))

    def halt(self) -> None:
        """Stand still where it is; returns at once."""
        self._halted.set()
        self._log.write("stage.halt")

    @property
    def actual_m(self) -> tuple[float, float, float]:
        """Where (x, y, z) the specimen holder truly is, also on the way."""
        x, y, z = self._now()[0].tolist()
        return x, y, z

    @property
    def foreshortening(self) -> tuple[float, float]:
        """Projected over true distance along (y, x): the cosines of alpha and beta."""
        alpha, beta = np.cos(self._now()[1]).tolist()
        return alpha, beta

    def report(self) -> MoveReport:
        """Commanded, reported (by an encoder on the drive's side of the backlash) and actual position."""
        with self._lock:
            self._follow()
            linear, tilt = self._linear, self._tilt
            return MoveReport(
                commanded=_position(linear.commanded, tilt.commanded),
                reported=_position(linear.reported, tilt.reported),
                actual=_position(linear.actual, tilt.actual),
                tolerance_m=linear.tolerance,
                settle_time_s=self._options.settle_time_s,
            )

    def _run(self, axes: Axes, wanted: Sequence[float | None], what: str, names: tuple[str, ...]) -> None:
        share = self._faults.current.stage_stops_at
        with self._lock:
            self._follow()
            target = axes.target(wanted)
            duration_s = axes.begin(target, share=1.0 if share is None else share)
            self._halted.clear()
            self._log.write(what, **dict(zip(names, target.tolist(), strict=True)))
        halted = self._halted.wait(duration_s + self._options.settle_time_s)
        with self._lock:
            axes.end()
        where = self.report().reported
        self._log.write("stage.stand", **where.model_dump(), halted=halted)
        if halted:
            raise MoveHaltedError(
                f"The stage was halted at x {where.x_m:.3e} m, y {where.y_m:.3e} m.",
                safe="it stands still there.",
                next_step="read the stage, then move again if that is safe.",
            )

    def _now(self) -> tuple[_Vector, _Vector]:
        with self._lock:
            self._follow()
            return self._linear.actual, self._tilt.actual

    def _follow(self) -> None:
        now_s = time.monotonic()
        if self._creep_m_per_s:
            self._linear.slip(0, self._creep_m_per_s * (now_s - self._followed_s))
        self._followed_s, self._creep_m_per_s = now_s, self._faults.current.stage_creep_m_per_s
        self._linear.follow()
        self._tilt.follow()


def _position(linear_m: _Vector, tilt_rad: _Vector) -> StagePosition:
    x, y, z = linear_m.tolist()
    alpha, beta = tilt_rad.tolist()
    return StagePosition(x_m=x, y_m=y, z_m=z, alpha_rad=alpha, beta_rad=beta)
