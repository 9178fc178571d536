"""Which unit somebody probably meant, when a number cannot be in the unit of its name."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, radians
from typing import Any

__all__ = ["explain_problem", "lower_first", "unit_hint"]

_SMALLEST_CONFUSED = {"_m": 0.01, "_rad": 1.0, "_s": 1.0, "_a": 1e-3}
"""Below this a number is believed to be in the unit of its name, and is merely too large."""

_OTHERS = {
    "_m": (("micrometres", 1e-6), ("nanometres", 1e-9)),
    "_rad": (("degrees", radians(1.0)),),
    "_s": (("milliseconds", 1e-3), ("microseconds", 1e-6), ("nanoseconds", 1e-9)),
    "_a": (("nanoamperes", 1e-9), ("picoamperes", 1e-12)),
}
_WANTED = {"_m": "metres", "_rad": "radians", "_s": "seconds", "_a": "amperes"}


def unit_hint(name: str, value: float, low: float, high: float) -> str | None:
    """One sentence about the unit, if the value would fit in another than that of its name.

    Args:
        name: the quantity with its unit at the end, e.g. `x_m`.
        value: what was given.
        low: lowest value that would be accepted, in the unit of the name.
        high: highest value.
    """
    suffix = "_" + name.rpartition("_")[2]
    if suffix not in _WANTED or not isfinite(value) or low <= value <= high:
        return None
    if abs(value) < _SMALLEST_CONFUSED[suffix]:
        return None
    for unit, factor in _OTHERS[suffix]:
        if low <= value * factor <= high:
            return f"{name} = {value:g} looks like {unit}; {_WANTED[suffix]} are wanted."
    return None


def lower_first(text: str) -> str:
    """A sentence that goes on after a colon. Names and patterns in it stay as they are."""
    return text[:1].lower() + text[1:]


def explain_problem(problem: Mapping[str, Any]) -> str:
    """One of pydantic's errors in words, with a hint at the unit where that is probably the matter.

    Args:
        problem: an item of `ValidationError.errors()`.
    """
    where = [str(part) for part in problem["loc"]]
    context, given = problem.get("ctx", {}), problem.get("input")
    bound = context.get("le", context.get("ge", context.get("lt", context.get("gt"))))
    if where and isinstance(given, int | float) and isinstance(bound, int | float):
        hint = unit_hint(where[-1], float(given), -abs(float(bound)), abs(float(bound)))
        if hint is not None:
            return hint.rstrip(".")
    if problem["type"] == "extra_forbidden":
        return f"{'.'.join(where)} is no known name"
    return f"{'.'.join(where) or 'request'}: {lower_first(str(problem['msg']))}"
