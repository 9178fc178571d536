"""Whether a stage has arrived: its own word for it is not enough."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import cast

from eucentric_core import Instrument, MoveFailedError, StagePosition
from eucentric_core.vocabulary import Command, MoveReport, StageGet, StageMove, StageMoveBy, StageTilt

__all__ = ["require_arrival"]

POLL_S = 0.02
PATIENCE_S = 2.0
"""How long beyond its settle time a stage may come no nearer, before it counts as stuck."""

LONGEST_S = 300.0
"""No move is waited for longer than this."""

TILT_TOLERANCE_RAD = 1e-3
"""A `MoveReport` states a tolerance for lengths only; this is the one for angles."""

_FARTHER = 1e-3


def require_arrival(
    driver: Instrument,
    command: Command,
    report: MoveReport,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> MoveReport:
    """Wait until a commanded move has arrived, and say so only if it has.

    It has once every commanded axis is reported, and where it is measured stands, within the tolerance of
    the commanded coordinate on two readings in a row. Drivers whose moves block and drivers whose moves
    return early are both welcome: while the stage comes nearer it is waited for, so that distance and speed
    set the time; when it comes no nearer for its settle time and a little more, it has failed. Moves too
    small for the encoder are within the tolerance from the beginning.

    Args:
        driver: the instrument, asked with `stage.get` on the calling thread.
        command: the move; anything else is returned as it is.
        report: what the driver answered to it.
        clock: monotonic seconds.
        sleep: waits so many seconds.

    Returns:
        The last reading.

    Raises:
        MoveFailedError: it stands elsewhere, or was commanded elsewhere; the details say where.
        EucentricError: the stage could not be read, or was halted.
    """
    wanted = _wanted(command, report.commanded)
    if not wanted:
        return report
    began_s = clock()
    _require_obeyed(wanted, report)
    nearest, nearer_s = math.inf, began_s
    arrived_before = False
    while True:
        arrived = report.age_s == 0 and _has_arrived(wanted, report)
        if arrived and arrived_before:
            return report
        arrived_before = arrived
        now_s, distance = clock(), _distance(wanted, report)
        if not distance >= nearest - _FARTHER:
            nearest, nearer_s = distance, now_s
        stuck = now_s - nearer_s > report.settle_time_s + PATIENCE_S
        if (stuck and not arrived) or now_s - began_s > LONGEST_S:
            raise _failed(wanted, report, now_s - began_s)
        sleep(POLL_S)
        report = cast(MoveReport, driver.execute(StageGet()))


def _wanted(command: Command, commanded: StagePosition) -> dict[str, float]:
    """The coordinate each commanded axis must reach. Only the driver knows what a distance counts from."""
    if isinstance(command, StageMove):
        named = {"x_m": command.x_m, "y_m": command.y_m, "z_m": command.z_m}
    elif isinstance(command, StageTilt):
        named = {"alpha_rad": command.alpha_rad, "beta_rad": command.beta_rad}
    elif isinstance(command, StageMoveBy):
        by = {"x_m": command.dx_m, "y_m": command.dy_m, "z_m": command.dz_m}
        named = {axis: None if d is None else getattr(commanded, axis) for axis, d in by.items()}
    else:
        return {}
    return {axis: value for axis, value in named.items() if value is not None}


def _tolerance(axis: str, report: MoveReport) -> float:
    return report.tolerance_m if axis.endswith("_m") else TILT_TOLERANCE_RAD


def _is_near(wanted: dict[str, float], position: StagePosition, report: MoveReport) -> bool:
    return all(
        abs(getattr(position, axis) - value) <= _tolerance(axis, report) for axis, value in wanted.items()
    )


def _has_arrived(wanted: dict[str, float], report: MoveReport) -> bool:
    return _is_near(wanted, report.reported, report) and (
        report.actual is None or _is_near(wanted, report.actual, report)
    )


def _distance(wanted: dict[str, float], report: MoveReport) -> float:
    """How many tolerances the worst axis is away, by the reported or the measured position."""
    positions = [report.reported] if report.actual is None else [report.reported, report.actual]
    return max(
        abs(getattr(position, axis) - value) / _tolerance(axis, report)
        for position in positions
        for axis, value in wanted.items()
    )


def _require_obeyed(wanted: dict[str, float], report: MoveReport) -> None:
    """Some stages clip a coordinate to their range and call that a success."""
    if not _is_near(wanted, report.commanded, report):
        raise _failed(wanted, report, 0.0)


def _failed(wanted: dict[str, float], report: MoveReport, after_s: float) -> MoveFailedError:
    places = {"reported": report.reported, "actual": report.actual, "commanded": report.commanded}
    axis = max(
        wanted,
        key=lambda name: max(
            abs(getattr(place, name) - wanted[name]) / _tolerance(name, report)
            for place in places.values()
            if place is not None
        ),
    )
    unit = "m" if axis.endswith("_m") else "rad"
    measured = "" if report.actual is None else f", is measured at {getattr(report.actual, axis):.6e} {unit}"
    return MoveFailedError(
        f"The stage was told {axis} = {wanted[axis]:.6e} {unit} and reports "
        f"{getattr(report.reported, axis):.6e} {unit}{measured} after {after_s:.1f} s; "
        f"the tolerance is {_tolerance(axis, report):.3e} {unit}.",
        safe="it was not moved again; what it does now is what it reports.",
        next_step="read the stage, halt it (stage.stop) if it still moves, then try a shorter move.",
        wanted=dict(wanted),
        commanded=report.commanded.model_dump(mode="json"),
        reported=report.reported.model_dump(mode="json"),
        actual=None if report.actual is None else report.actual.model_dump(mode="json"),
        tolerance_m=report.tolerance_m,
        tolerance_rad=TILT_TOLERANCE_RAD,
    )
