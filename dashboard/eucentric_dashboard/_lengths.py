"""Lengths in the unit that fits."""

from __future__ import annotations

from math import floor, log10

__all__ = ["length_in_words"]

_UNITS = ((1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm"))
_DIGITS = 3


def length_in_words(length_m: float) -> str:
    """A positive length with three digits that count: `19.5 pm`, `3.91 nm`, `1 µm`."""
    rounded_m = round(length_m, _DIGITS - 1 - floor(log10(length_m)))
    size_m, name = next((unit for unit in _UNITS if rounded_m >= unit[0] * (1 - 1e-9)), (1e-12, "pm"))
    return f"{length_m / size_m:.{_DIGITS}g} {name}"
