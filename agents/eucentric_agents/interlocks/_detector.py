"""What detectors stand: electrons per pixel, beam current, magnification. Pure decisions."""

from __future__ import annotations

from ._dose import ELEMENTARY_CHARGE_C
from ._finding import Finding
from ._limits import DetectorLimits, Limits

__all__ = ["find_on_beam", "find_on_dwell", "find_on_field", "find_unknown_field"]


def find_on_beam(
    limits: DetectorLimits, *, current_a: float | None, field_of_view_m: float
) -> Finding | None:
    """The limit that the beam on the specimen passes with this current and field of view."""
    most = limits.max_beam_current_a
    if most is not None and current_a is None:
        return unknown_current("detector.max_beam_current_a", most, "A")
    if most is not None and current_a is not None and not current_a <= most:
        return Finding(
            "detector.max_beam_current_a",
            f"The beam current is {current_a:.6g} A; the detectors stand {most:.6g} A.",
            "lower the current with the beam blanked.",
            limit=most,
            value=current_a,
            unit="A",
        )
    return find_on_field(limits, field_of_view_m)


def find_on_field(limits: DetectorLimits, field_of_view_m: float) -> Finding | None:
    """The limit that a field of view passes."""
    least = limits.min_field_of_view_m
    if least is not None and not field_of_view_m >= least:
        return Finding(
            "detector.min_field_of_view_m",
            f"The field of view would be {field_of_view_m:.6g} m; it must be at least {least:.6g} m.",
            "choose a larger field of view.",
            limit=least,
            value=field_of_view_m,
            unit="m",
        )
    return None


def find_unknown_field(limits: Limits, field_of_view_m: float | None) -> Finding | None:
    """What cannot be kept without knowing the field of view: budgets of dose, and its own limit."""
    least = limits.detector.min_field_of_view_m
    if field_of_view_m is not None or (least is None and not limits.dose.set):
        return None
    return Finding(
        "detector.min_field_of_view_m" if least is not None else "dose",
        "The instrument does not say its field of view, and the limits on dose and field cannot be kept "
        "without it.",
        "bring the instrument into a mode whose field of view is calibrated, with the beam blanked.",
        limit=least,
        unit="m",
    )


def find_on_dwell(limits: DetectorLimits, *, current_a: float | None, dwell_time_s: float) -> Finding | None:
    """The limit that a scan with this current and dwell time passes."""
    most = limits.max_electrons_per_pixel
    if most is None:
        return None
    if current_a is None:
        return unknown_current("detector.max_electrons_per_pixel", most, "1")
    electrons = current_a * dwell_time_s / ELEMENTARY_CHARGE_C
    if electrons <= most:
        return None
    return Finding(
        "detector.max_electrons_per_pixel",
        f"Each pixel would get {electrons:.6g} electrons; the detectors stand {most:.6g}.",
        f"choose a dwell time of at most {most * ELEMENTARY_CHARGE_C / current_a:.3g} s, or less current.",
        limit=most,
        value=electrons,
        unit="1",
    )


def unknown_current(interlock: str, limit: float, unit: str) -> Finding:
    """The instrument does not say its beam current, so that a limit cannot be kept."""
    return Finding(
        interlock,
        "The instrument does not say its beam current, and the limit cannot be kept without it.",
        "set dose.assumed_beam_current_a in the local file of limits to the largest current in use.",
        limit=limit,
        unit=unit,
    )
