"""Whether the stage may go somewhere, and on every way there. Pure decisions.

Every comparison is `value <= limit` on doubles, without a margin: the limit itself passes and the next
number beyond it does not. Combined tilts are `math.hypot`, whose result is rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from eucentric_core import StagePosition, unit_hint
from eucentric_core.vocabulary import Command, StageMove, StageMoveBy, StageTilt

from ._finding import Finding
from ._limits import KeepOut, StageEnvelope

__all__ = ["Place", "commanded_axes", "find_on_move", "place_of", "targets_of"]


class Place(NamedTuple):
    """A position of the stage that nothing has checked yet."""

    x_m: float
    y_m: float
    z_m: float
    alpha_rad: float
    beta_rad: float


AXES = Place._fields
_SI = {"x_m": "m", "y_m": "m", "z_m": "m", "alpha_rad": "rad", "beta_rad": "rad"}
_WIDEST = {"m": 5e-3, "rad": math.pi / 2}
_Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class _Excess:
    """How far the worst corner of a box is beyond one limit; at most 0 where it is within."""

    interlock: str
    axes: tuple[str, ...]
    value: float
    limit: float
    unit: str
    excess: float


def place_of(position: StagePosition) -> Place:
    """The same position, as plain numbers."""
    return Place(position.x_m, position.y_m, position.z_m, position.alpha_rad, position.beta_rad)


def commanded_axes(command: Command) -> dict[str, float]:
    """The axes that a move names, with the coordinate or (`stage.move_by`) the distance."""
    named: dict[str, float | None] = {}
    if isinstance(command, StageMove):
        named = {"x_m": command.x_m, "y_m": command.y_m, "z_m": command.z_m}
    elif isinstance(command, StageTilt):
        named = {"alpha_rad": command.alpha_rad, "beta_rad": command.beta_rad}
    elif isinstance(command, StageMoveBy):
        named = {"x_m": command.dx_m, "y_m": command.dy_m, "z_m": command.dz_m}
    return {axis: value for axis, value in named.items() if value is not None}


def targets_of(command: Command, bases: Sequence[Place]) -> tuple[Place, ...]:
    """Where a move may end: one place for each position it may be counted from."""
    axes = commanded_axes(command)
    if isinstance(command, StageMoveBy):
        return tuple(
            base._replace(**{axis: getattr(base, axis) + by for axis, by in axes.items()}) for base in bases
        )
    return tuple(base._replace(**axes) for base in bases)


def find_on_move(
    envelope: StageEnvelope, start: Place, targets: Sequence[Place], axes: Sequence[str]
) -> Finding | None:
    """The first limit that a move would pass, on its way or at its end; None if there is none.

    The axes may run at different speeds, so the way lies anywhere in the box spanned by start and targets,
    and its worst corner decides. A stage that stands beyond a limit already may go back within it, as long
    as the way leads no further out.

    Args:
        envelope: the limits.
        start: where the stage stands.
        targets: where it may end, see `targets_of`.
        axes: names of the axes that are commanded.
    """
    if not axes:
        return None
    for name, place in (("stands at", start), *(("would go to", target) for target in targets)):
        for axis, value in zip(AXES, place, strict=True):
            if not math.isfinite(value):
                return _not_a_number(axis, value, name)
    here = _box((start,))
    way = _box((start, *targets))
    ends = [_box((target,)) for target in targets]
    for at_start, on_way, *at_ends in zip(
        *(list(_excesses(envelope, box)) for box in (here, way, *ends)), strict=True
    ):
        touched = any(axis in at_start.axes for axis in axes)
        worst_end = max(at_ends, key=lambda end: end.excess)
        if touched and worst_end.excess > 0:
            return _beyond(worst_end, "would end")
        if on_way.excess > max(0.0, at_start.excess):
            return _beyond(on_way, "could be, on its way,")
    return _too_far(envelope, start, targets, axes)


def _box(places: Sequence[Place]) -> _Box:
    return tuple((min(values), max(values)) for values in zip(*places, strict=True))


def _excesses(envelope: StageEnvelope, box: _Box) -> Iterator[_Excess]:
    for axis, span, (low, high) in zip(AXES, envelope.spans, box, strict=True):
        if span is not None:
            below, above = span[0] - low, high - span[1]
            value, limit = (low, span[0]) if below > above else (high, span[1])
            yield _Excess(f"stage.{axis}", (axis,), value, limit, _SI[axis], max(below, above))
    height = _largest(box[2])
    # Not of the box but of its worst corner.
    tilt = math.hypot(_largest(box[3]), _largest(box[4]))
    if envelope.max_tilt_rad is not None:
        limit = envelope.max_tilt_rad
        yield _Excess("stage.max_tilt_rad", ("alpha_rad", "beta_rad"), tilt, limit, "rad", tilt - limit)
        if envelope.z_at_full_tilt_m is not None and envelope.z_m is not None:
            limit = _height_at(tilt, envelope.max_tilt_rad, envelope.z_m, envelope.z_at_full_tilt_m)
            axes = ("z_m", "alpha_rad", "beta_rad")
            yield _Excess("stage.z_at_full_tilt_m", axes, height, limit, "m", height - limit)
    for keep_out in envelope.keep_out:
        yield _intrusion(keep_out, box)


def _largest(span: tuple[float, float]) -> float:
    return max(abs(span[0]), abs(span[1]))


def _height_at(tilt: float, full_tilt: float, z_m: tuple[float, float], z_at_full_tilt_m: float) -> float:
    """Largest |z| at a tilt; in this form both ends come out exactly."""
    share = min(tilt / full_tilt, 1.0)
    level = _largest(z_m)
    return level * (1.0 - share) + min(z_at_full_tilt_m, level) * share


def _intrusion(keep_out: KeepOut, box: _Box) -> _Excess:
    """How deep a box reaches into a keep-out: the way to the nearest face through which it would be clear."""
    depths = [
        (min(high - span[0], span[1] - low), axis)
        for axis, span, (low, high) in zip(AXES, keep_out.spans, box, strict=True)
        if span is not None
    ]
    depth, axis = min(depths)
    axes = tuple(name for _depth, name in depths)
    return _Excess(f"stage.keep_out.{keep_out.name}", axes, depth, 0.0, _SI[axis], depth)


def _too_far(
    envelope: StageEnvelope, start: Place, targets: Sequence[Place], axes: Sequence[str]
) -> Finding | None:
    for name, limit, unit in (
        ("max_step_m", envelope.max_step_m, "m"),
        ("max_tilt_step_rad", envelope.max_tilt_step_rad, "rad"),
    ):
        moved = [axis for axis in axes if _SI[axis] == unit]
        if limit is None or not moved:
            continue
        way = max(math.hypot(*(getattr(t, axis) - getattr(start, axis) for axis in moved)) for t in targets)
        if way > limit:
            return Finding(
                f"stage.{name}",
                f"The move is {way:.6g} {unit} long; one move may be at most {limit:.6g} {unit}.",
                "go there in several moves.",
                limit=limit,
                value=way,
                unit=unit,
            )
    return None


def _beyond(excess: _Excess, how: str) -> Finding:
    name = excess.interlock.removeprefix("stage.")
    if name.startswith("keep_out."):
        box = name.removeprefix("keep_out.")
        what = f"The stage {how} {excess.value:.6g} {excess.unit} deep in the keep-out {box!r}."
        return _stage_finding(excess, what, "go around it: move one axis after the other.")
    if len(excess.axes) > 1:
        quantity = "a combined tilt" if name == "max_tilt_rad" else "|z|"
        at = "" if name == "max_tilt_rad" else " at that tilt"
        what = (
            f"The stage {how} at {quantity} of {excess.value:.6g} {excess.unit}; "
            f"at most {excess.limit:.6g} {excess.unit} is allowed{at}."
        )
        return _stage_finding(excess, what, "choose a smaller one, or move one axis after the other.")
    what = (
        f"The stage {how} at {name} = {excess.value:.6g} {excess.unit}; "
        f"the limit is {excess.limit:.6g} {excess.unit}."
    )
    hint = unit_hint(name, excess.value, -abs(excess.limit), abs(excess.limit))
    return _stage_finding(excess, what if hint is None else f"{what} {hint}", "stay within the limits.")


def _stage_finding(excess: _Excess, what: str, next_step: str) -> Finding:
    return Finding(
        excess.interlock, what, next_step, limit=excess.limit, value=excess.value, unit=excess.unit
    )


def _not_a_number(axis: str, value: float, how: str) -> Finding:
    return Finding(
        f"stage.{axis}",
        f"The stage {how} {axis} = {value}, which is no position.",
        "give a finite number; if the stage itself reports this, look at the instrument.",
        unit=_SI[axis],
    )
