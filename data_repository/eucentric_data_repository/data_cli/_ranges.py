"""Ranges and times as they are typed: units in the options' names, SI in what is searched for."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite

from eucentric_core import ConfigurationError

from .._facts import Quantity
from .._search import Bounds

__all__ = ["QUANTITY_OPTIONS", "parse_range", "parse_time"]

QUANTITY_OPTIONS: dict[str, tuple[Quantity, float]] = {
    "pixel_size_pm": ("pixel_size_m", 1e-12),
    "high_tension_kv": ("high_tension_v", 1e3),
    "beam_current_pa": ("beam_current_a", 1e-12),
    "convergence_angle_mrad": ("convergence_angle_rad", 1e-3),
    "defocus_nm": ("defocus_m", 1e-9),
    "field_of_view_nm": ("field_of_view_m", 1e-9),
    "dwell_time_us": ("dwell_time_s", 1e-6),
    "dose_e_per_a2": ("dose_e_per_a2", 1.0),
}
"""Options by quantity, and what one of the option's units is in SI."""

_TOLERANCE = 5e-3
"""How far a value may lie off a single number that was asked for: instruments report 199.98 kV."""


def parse_range(option: str, text: str) -> Bounds:
    """`5..20`, `5..`, `..20`, or one number, which half a percent around it fits.

    Raises:
        ConfigurationError: it is none of these.
    """
    _, unit = QUANTITY_OPTIONS[option]
    first, dots, last = text.partition("..")
    try:
        if not dots:
            value = float(text)
            ends = sorted((value * (1 - _TOLERANCE), value * (1 + _TOLERANCE)))
            low, high = ends[0], ends[1]
            return _bounds(low * unit, high * unit)
        return _bounds(*(float(end) * unit if end.strip() else None for end in (first, last)))
    except ValueError as error:
        name = "--" + option.replace("_", "-")
        raise ConfigurationError(
            f"{name} {text[:60]!r} is no range.",
            safe="nothing was searched.",
            next_step=f"write a number or a range, e.g. {name} 5..20, {name} 5.. or {name} ..20",
        ) from error


def _bounds(minimum: float | None, maximum: float | None) -> Bounds:
    if any(end is not None and not isfinite(end) for end in (minimum, maximum)):
        raise ValueError("not finite")
    return Bounds(minimum=minimum, maximum=maximum)


def parse_time(option: str, text: str | None) -> datetime | None:
    """A day or a time in ISO 8601; without a zone it is UTC.

    Raises:
        ConfigurationError: it is neither.
    """
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(
            f"{option} {text[:60]!r} is no time.",
            safe="nothing was searched.",
            next_step=f"write e.g. {option} 2026-11-01 or {option} 2026-11-01T12:00:00Z",
        ) from error
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
