"""What the beam does to the specimen, and whether a budget still has room for it. Pure decisions."""

from __future__ import annotations

import math

from ._field import Field
from ._finding import Finding
from ._ledger import DoseLedger
from ._limits import DoseLimits

__all__ = ["ELEMENTARY_CHARGE_C", "dose_e_per_a2", "find_in_budget", "look_ahead_s"]

ELEMENTARY_CHARGE_C = 1.602176634e-19
_M2_PER_A2 = 1e-20


def dose_e_per_a2(current_a: float, duration_s: float, field: Field) -> float:
    """Electrons per square angstrom, I t / (e A), spread evenly over the field."""
    return current_a * duration_s / ELEMENTARY_CHARGE_C / field.area_m2 * _M2_PER_A2


def look_ahead_s(
    reaction_s: float, *, frame_time_s: float | None, into_frame_s: float, frames_left: float
) -> float:
    """How much beam time is as good as spent, though it has not passed yet.

    Whatever happens within the reaction time is, and every frame that has begun or begins within it: some
    instruments expose a frame they have begun to its end.

    Args:
        reaction_s: time from a decision until the beam is off.
        frame_time_s: of the scan that runs; None if none does.
        into_frame_s: how much of the present frame has passed.
        frames_left: frames that are still to come, the present one included; infinity for an endless scan.
    """
    if frame_time_s is None:
        return reaction_s
    rest_s = max(0.0, frame_time_s - into_frame_s)
    more = math.ceil(max(0.0, reaction_s - rest_s) / frame_time_s)
    return max(reaction_s, rest_s + min(float(more), max(0.0, frames_left - 1)) * frame_time_s)


def find_in_budget(
    limits: DoseLimits,
    ledger: DoseLedger,
    field: Field,
    *,
    within: Field | None = None,
    current_a: float | None,
    dose_s: float,
    beam_on_s: float,
) -> Finding | None:
    """The first budget that has no room for more beam on this field.

    Args:
        limits: the budgets.
        ledger: what has been spent.
        field: where the beam is or will be.
        within: where that field may lie while the stage moves; None: it stays.
        current_a: beam current; None if it is not known.
        dose_s: how long that current is counted for.
        beam_on_s: how much longer the beam is on.
    """
    spent_e_per_a2, spent_s = ledger.most_exposed(within or field)
    for name, budget_s, so_far_s in (
        ("region_beam_on_s", limits.region_beam_on_s, spent_s),
        ("session_beam_on_s", limits.session_beam_on_s, ledger.beam_on_s),
    ):
        if budget_s is not None and not so_far_s + beam_on_s <= budget_s:
            return _spent(name, so_far_s, so_far_s + beam_on_s, budget_s, "s", None)
    if not limits.need_current:
        return None
    if current_a is None:
        budget = limits.region_e_per_a2 if limits.region_e_per_a2 is not None else limits.session_e_per_a2
        return Finding(
            "dose.assumed_beam_current_a",
            "A dose budget is set and the instrument does not say its beam current; it is never guessed.",
            "set dose.assumed_beam_current_a in the local file of limits to the largest current in use.",
            limit=budget,
            unit="e/A^2",
        )
    more = dose_e_per_a2(current_a, dose_s, field)
    per_s = dose_e_per_a2(current_a, 1.0, field)
    for name, budget, so_far, after in (
        ("region_e_per_a2", limits.region_e_per_a2, spent_e_per_a2, spent_e_per_a2 + more),
        (
            "session_e_per_a2",
            limits.session_e_per_a2,
            ledger.mean_e_per_a2,
            ledger.mean_with(more, field),
        ),
    ):
        if budget is not None and not after <= budget:
            left_s = (budget - so_far) / per_s if name.startswith("region") else None
            return _spent(name, so_far, after, budget, "e/A^2", left_s)
    return None


def _spent(name: str, so_far: float, after: float, budget: float, unit: str, left_s: float | None) -> Finding:
    region = name.startswith("region")
    left = max(0.0, budget - so_far)
    fits = (
        "" if left_s is None else f"with this current and field {max(0.0, left_s):.3g} s of beam are left: "
    )
    return Finding(
        f"dose.{name}",
        f"The {'dose' if unit == 'e/A^2' else 'beam-on time'} of this {'region' if region else 'session'} "
        f"would be {after:.6g} {unit}; the budget is {budget:.6g} {unit}, of which {left:.6g} are left.",
        f"{fits}choose a shorter time, less current or a larger field"
        + (", or go to another place." if region else "."),
        limit=budget,
        value=after,
        unit=unit,
        fits=left,
    )
