"""What an instrument answered to a command, for people on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from eucentric_core.vocabulary import CommandResult, InstrumentState

from ._state import facts
from ._words import duration_words, length_words

__all__ = ["answer_facts"]

_UNITS: Mapping[str, Callable[[float], str]] = {
    "m": length_words,
    "s": duration_words,
    "rad": lambda angle_rad: f"{angle_rad * 1e3:.4g} mrad",
    "v": lambda tension_v: f"{tension_v:.6g} V",
    "a": lambda current_a: f"{current_a:.4g} A",
}
"""How a number is said, by the unit at the end of its name."""


def answer_facts(answer: CommandResult) -> list[tuple[str, str]]:
    """An answer as pairs of name and text; none where it says no more than that it was done."""
    if isinstance(answer, InstrumentState):
        return facts(answer)
    plain = answer.model_dump(mode="json")
    unit = plain.pop("unit", None)
    return list(_pairs(plain, unit))


def _pairs(plain: Mapping[str, Any], unit: str | None, of: str = "") -> Iterator[tuple[str, str]]:
    for name, value in plain.items():
        stem, _, last = name.rpartition("_")
        own = last if stem and last in _UNITS else None
        words = f"{of} {(stem if own else name).replace('_', ' ')}".strip()
        if isinstance(value, Mapping):
            yield from _pairs(value, unit, words)
        else:
            yield words, _said(value, own or (None if unit is None else unit.lower()))


def _said(value: Any, unit: str | None) -> str:
    if isinstance(value, list):
        return ", ".join(_said(one, unit) for one in value)
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float) and unit is not None and unit in _UNITS:
        return _UNITS[unit](value)
    return f"{value:.6g}" if isinstance(value, float) else str(value)
