"""Honest moves on a vendor's stage: within the limits, verified, and an error where it did not arrive."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from eucentric_core import CommandRefusedError, MoveFailedError, StageLimits, StagePosition
from eucentric_core.vocabulary import MoveReport

from .._errors import MoveHaltedError
from ._options import ArrivalOptions
from ._parts import StagePart, Target

__all__ = ["MovedStage", "narrowed", "within_bounds"]

S = TypeVar("S")

_LOOK_S = 0.02
_CONFIRMATIONS = 2
"""A stage that says it stands still in the middle of a move says so once."""


class MovedStage(Generic[S]):
    """Moves a stage and remembers where it was told to go. `halt` and `report` may be called meanwhile.

    Args:
        part: the vendor's stage.
        arrival: when a move counts as arrived.
        call: runs a vendor call on the command lane, for at most so many seconds.
    """

    def __init__(
        self, part: StagePart[S], arrival: ArrivalOptions, call: Callable[[Callable[[S], Any], float], Any]
    ) -> None:
        self._part = part
        self._arrival = arrival
        self._call = call
        self._halted = threading.Event()
        self._commanded: StagePosition | None = self._read()

    def report(self) -> MoveReport:
        """Commanded and reported position; a vendor's stage has no measured one."""
        reported = self._read()
        return MoveReport(
            commanded=self._commanded or reported,
            reported=reported,
            actual=None,
            tolerance_m=self._arrival.tolerance_m,
            settle_time_s=self._arrival.settle_time_s,
        )

    def move(self, target: Target) -> MoveReport:
        """Go to the coordinates given and wait until the stage says twice that it is there.

        After a move that failed or was halted, the commanded position is the one that is reported.

        Raises:
            CommandRefusedError: a coordinate is outside the limits; nothing was sent.
            MoveHaltedError: it was halted on the way.
            MoveFailedError: it did not arrive.
        """
        refuse_beyond(self._part.limits, target)
        wanted = (self._commanded or self._read()).model_copy(update=dict(target))
        self._halted.clear()
        self._commanded = None
        deadline_s = time.monotonic() + self._arrival.timeout_s
        self._call(lambda scope: self._part.go(scope, target, self._halted.is_set), self._arrival.timeout_s)
        arrived = self._arrives(wanted, target, deadline_s)
        if self._halted.is_set():
            if self._part.halt is not None:
                # The halt may have reached the vendor just before the move.
                self._call(self._part.halt, self._arrival.timeout_s)
            where = self._read()
            raise MoveHaltedError(
                f"The stage was halted at x {where.x_m:.3e} m, y {where.y_m:.3e} m.",
                safe="it was told to stand still.",
                next_step="read the stage, then move again if that is safe.",
            )
        if not arrived:
            raise MoveFailedError(
                f"The stage did not arrive within {self._arrival.timeout_s:g} s.",
                safe="no further move is sent; it stands where the details say, or still moves.",
                next_step="read the stage; look for a limit, a touch alarm or a stage that is switched off.",
                commanded=wanted.model_dump(),
                reported=self._read().model_dump(),
            )
        self._commanded = wanted
        return self.report()

    def move_by(self, distance: Target) -> MoveReport:
        """Move by a distance from the last commanded position; see `move`."""
        start = self._commanded or self._read()
        return self.move({axis: getattr(start, axis) + by for axis, by in distance.items()})

    def halted(self) -> None:
        """The stage was told to stand still: a move that is under way does not arrive."""
        self._halted.set()

    def _read(self) -> StagePosition:
        position: StagePosition = self._call(self._part.read, self._arrival.timeout_s)
        return position

    def _arrives(self, wanted: StagePosition, target: Target, deadline_s: float) -> bool:
        confirmed = 0
        while time.monotonic() < deadline_s and not self._halted.is_set():
            moving, where = self._call(
                lambda scope: (self._part.moving(scope), self._part.read(scope)), self._arrival.timeout_s
            )
            confirmed = confirmed + 1 if not moving and self._is_there(where, wanted, target) else 0
            if confirmed >= _CONFIRMATIONS:
                return not self._halted.wait(self._arrival.settle_time_s)
            self._halted.wait(_LOOK_S)
        return False

    def _is_there(self, where: StagePosition, wanted: StagePosition, target: Target) -> bool:
        return all(
            abs(getattr(where, axis) - getattr(wanted, axis))
            <= (self._arrival.tolerance_m if axis.endswith("_m") else self._arrival.tolerance_rad)
            for axis in target
        )


def refuse_beyond(limits: StageLimits, target: Target) -> None:
    """Refuse a target outside the limits, before anything is sent: some vendors clip without a word.

    Raises:
        CommandRefusedError: names the axis and its range.
    """
    for axis, value in target.items():
        allowed = getattr(limits, axis)
        if allowed is None:
            raise CommandRefusedError(
                f"The stage has no axis {axis}, or its limits are not known.",
                safe="the stage did not move.",
                next_step="leave this axis out, or give agent.driver.stage_limits.",
            )
        if not allowed[0] <= value <= allowed[1]:
            raise CommandRefusedError(
                f"{axis} = {value:.4e} is outside the stage's range of {allowed[0]:.4e} to {allowed[1]:.4e}.",
                safe="the stage did not move.",
                next_step="stay within the range (see the capabilities).",
            )


def within_bounds(limits: dict[str, tuple[float, float]]) -> StageLimits:
    """A vendor's limits, no wider than the vocabulary's own."""
    bounds = {"x_m": 5e-3, "y_m": 5e-3, "z_m": 5e-3, "alpha_rad": 1.57, "beta_rad": 1.57}
    return StageLimits.model_validate(
        {axis: (max(low, -bounds[axis]), min(high, bounds[axis])) for axis, (low, high) in limits.items()}
    )


def narrowed(reported: StageLimits, chosen: StageLimits | None) -> StageLimits:
    """The vendor's limits, narrowed by those of the settings on the axes that they name."""
    if chosen is None:
        return reported
    result = {}
    for axis in StageLimits.model_fields:
        vendor, ours = getattr(reported, axis), getattr(chosen, axis)
        both = [pair for pair in (vendor, ours) if pair is not None]
        if vendor is not None:
            result[axis] = (max(low for low, _ in both), min(high for _, high in both))
    return StageLimits.model_validate(result)
