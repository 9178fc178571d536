"""The facts of the strip, in words."""

from __future__ import annotations

from math import degrees

from eucentric_core import StagePosition

__all__ = ["dose_in_words", "dose_share", "stage_in_words", "tension_in_words"]


def dose_in_words(dose_e_per_a2: float | None, limit_e_per_a2: float | None = None) -> str:
    """`412 / 2,000 e/Å²`; without a limit, the dose alone."""
    dose = "unknown" if dose_e_per_a2 is None else _number(dose_e_per_a2)
    if limit_e_per_a2 is None:
        return dose if dose_e_per_a2 is None else f"{dose} e/Å²"
    return f"{dose} / {_number(limit_e_per_a2)} e/Å²"


def dose_share(dose_e_per_a2: float | None, limit_e_per_a2: float | None) -> float | None:
    """The part of the limit that is used; None where one of the two is not known."""
    if dose_e_per_a2 is None or not limit_e_per_a2:
        return None
    return dose_e_per_a2 / limit_e_per_a2


def tension_in_words(high_tension_v: float | None) -> str | None:
    """`80 kV`."""
    return None if high_tension_v is None else f"{high_tension_v / 1e3:.3g} kV"


def stage_in_words(stage: StagePosition) -> str:
    """Position in µm, and the tilts in degrees where there are any."""
    place = " ".join(f"{value * 1e6:.2f}" for value in (stage.x_m, stage.y_m, stage.z_m))
    if stage.alpha_rad == 0 and stage.beta_rad == 0:
        return f"{place} µm"
    return f"{place} µm · {degrees(stage.alpha_rad):.1f}° {degrees(stage.beta_rad):.1f}°"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
