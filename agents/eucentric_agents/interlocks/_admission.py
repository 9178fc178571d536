"""Whether one command may reach the driver. Pure decisions over what is known right before it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from eucentric_core.vocabulary import (
    BeamShift,
    BeamUnblank,
    CameraAcquire,
    Command,
    InstrumentState,
    OpticsFieldOfView,
    ScanAcquire,
    ScanStream,
    SimulationDrift,
    SpectrumAcquire,
)

from ._detector import find_on_beam, find_on_dwell, find_on_field, find_unknown_field
from ._dose import find_in_budget, look_ahead_s
from ._exposure import ExposureMeter, is_finite
from ._field import Field, around
from ._finding import Finding
from ._ledger import DoseLedger
from ._limits import BeamLimits, Limits
from ._stage import Place, commanded_axes, find_on_move, place_of, targets_of

__all__ = ["find_on_admission", "lets_beam_on"]

_EXPOSING = (BeamUnblank, ScanAcquire, ScanStream, CameraAcquire, SpectrumAcquire)


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where the beam will be, how strong, and for how long as far as is known."""

    field: Field
    current_a: float | None
    dose_s: float
    beam_on_s: float
    within: Field | None = None


def lets_beam_on(command: Command) -> bool:
    """Whether a command is for having the beam on the specimen."""
    return isinstance(command, _EXPOSING)


def find_on_admission(
    command: Command,
    state: InstrumentState,
    *,
    limits: Limits,
    meter: ExposureMeter,
    ledger: DoseLedger,
    bases: Sequence[Place],
) -> Finding | None:
    """The first limit that a command would pass.

    Args:
        command: what is about to reach the driver.
        state: the instrument right before.
        limits: the limits in force.
        meter: what the beam does.
        ledger: what has been spent.
        bases: where the stage stands, then the positions it may have been commanded to last.
    """
    return next(_findings(command, state, limits, meter, ledger, bases), None)


def _findings(
    command: Command,
    state: InstrumentState,
    limits: Limits,
    meter: ExposureMeter,
    ledger: DoseLedger,
    bases: Sequence[Place],
) -> Iterator[Finding]:
    axes = commanded_axes(command)
    targets = targets_of(command, bases) if axes else ()
    found = find_on_move(limits.stage, place_of(state.stage), targets, list(axes)) if axes else None
    if found is not None:
        yield found
        return
    exposes = lets_beam_on(command) or not state.beam_blanked
    if exposes and not is_finite(state):
        yield Finding(
            "state",
            "The instrument's state holds a value that is no number, and no dose can be told from it.",
            "look at the instrument.",
        )
        return
    if isinstance(command, OpticsFieldOfView):
        yield from _some(find_on_field(limits.detector, command.field_of_view_m))
    elif exposes:
        yield from _some(find_unknown_field(limits, state.optics.field_of_view_m))
    if isinstance(command, BeamUnblank):
        yield from _some(_find_on_unblank(limits.beam, command.max_duration_s))
    if not exposes:
        return
    plan = _plan(command, state, limits, meter, targets)
    if lets_beam_on(command) or isinstance(command, SimulationDrift):
        yield from _some(
            find_on_beam(limits.detector, current_a=plan.current_a, field_of_view_m=plan.field.width_m)
        )
    if isinstance(command, ScanAcquire | ScanStream):
        yield from _some(
            find_on_dwell(limits.detector, current_a=plan.current_a, dwell_time_s=command.dwell_time_s)
        )
    elif isinstance(command, BeamUnblank) and state.scanning and state.optics.dwell_time_s is not None:
        yield from _some(
            find_on_dwell(limits.detector, current_a=plan.current_a, dwell_time_s=state.optics.dwell_time_s)
        )
    yield from _some(
        find_in_budget(
            limits.dose,
            ledger,
            plan.field,
            within=plan.within,
            current_a=plan.current_a,
            dose_s=plan.dose_s,
            beam_on_s=plan.beam_on_s,
        )
    )


def _plan(
    command: Command, state: InstrumentState, limits: Limits, meter: ExposureMeter, targets: Sequence[Place]
) -> _Plan:
    field, current_a = meter.outlook(state, limits.dose)
    reaction_s, ahead_s = limits.dose.reaction_s, meter.ahead_s(state, limits.dose)
    if isinstance(command, BeamUnblank):
        time_s = command.max_duration_s + reaction_s
        return _Plan(field, current_a, max(time_s, ahead_s), time_s)
    if isinstance(command, ScanAcquire | ScanStream):
        field = replace(field, height_m=field.width_m * command.height_px / command.width_px)
        if state.beam_blanked:
            # A dark frame costs nothing; letting the beam on is another command.
            return _Plan(field, current_a, 0.0, 0.0)
        dose_s, time_s = _scan_s(command, reaction_s)
        return _Plan(field, current_a, max(dose_s, ahead_s), time_s)
    if isinstance(command, CameraAcquire | SpectrumAcquire):
        time_s = 0.0 if state.beam_blanked else command.exposure_s + reaction_s
        return _Plan(field, current_a, time_s, time_s)
    plan = _Plan(field, current_a, ahead_s, reaction_s)
    if isinstance(command, OpticsFieldOfView):
        share = command.field_of_view_m / field.width_m
        changed = replace(field, width_m=command.field_of_view_m, height_m=field.height_m * share)
        return replace(plan, field=changed)
    if isinstance(command, BeamShift):
        reach_m = max(field.reach_m, meter.reach_m + math.hypot(command.x_m, command.y_m))
        return replace(plan, field=replace(field, reach_m=reach_m))
    if isinstance(command, SimulationDrift):
        side = min(1.0, command.field_of_view_factor)
        smaller = replace(field, width_m=field.width_m * side, height_m=field.height_m * side)
        stronger = None if current_a is None else current_a * max(1.0, command.beam_current_factor)
        return replace(plan, field=smaller, current_a=stronger)
    if targets:
        places = [replace(field, x_m=target.x_m, y_m=target.y_m) for target in targets]
        return replace(plan, within=around(field, *places))
    return plan


def _scan_s(command: ScanAcquire | ScanStream, reaction_s: float) -> tuple[float, float]:
    """Beam time of a scan that doses, and in which the beam is on, as far as it is known beforehand."""
    frame_s = command.dwell_time_s * command.height_px * command.width_px
    if isinstance(command, ScanAcquire):
        return frame_s + reaction_s, frame_s + reaction_s
    if command.max_frames is None:
        ahead_s = look_ahead_s(reaction_s, frame_time_s=frame_s, into_frame_s=0.0, frames_left=math.inf)
        return ahead_s, reaction_s
    period_s = frame_s if command.max_frames_per_s is None else max(frame_s, 1.0 / command.max_frames_per_s)
    time_s = command.max_frames * period_s + reaction_s
    return time_s, time_s


def _find_on_unblank(limits: BeamLimits, duration_s: float) -> Finding | None:
    most_s = limits.max_unblank_s
    if most_s is None or duration_s <= most_s:
        return None
    return Finding(
        "beam.max_unblank_s",
        f"The beam would be on for {duration_s:.6g} s; at most {most_s:.6g} s at a time are allowed.",
        "unblank for a shorter time, and again when it is needed.",
        limit=most_s,
        value=duration_s,
        unit="s",
        fits=most_s,
    )


def _some(finding: Finding | None) -> Iterator[Finding]:
    if finding is not None:
        yield finding
