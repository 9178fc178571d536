"""Counts and means of several images as those of all together."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

__all__ = ["merged_summary"]


def merged_summary(parts: Sequence[dict[str, JsonValue]]) -> dict[str, JsonValue]:
    """Summaries of images as one.

    `count` and the numbers in `counts` are added, `mean_…` is weighted by `count`, anything else is kept
    where all agree.
    """
    merged: dict[str, JsonValue] = {}
    for key in parts[0] if parts else ():
        values = [part.get(key) for part in parts]
        if key == "count":
            merged[key] = sum(_number(value) for value in values)
        elif key == "counts":
            merged[key] = _added(values)
        elif key.startswith("mean_"):
            merged[key] = _weighted(values, [part.get("count", 1) for part in parts])
        elif all(value == values[0] for value in values):
            merged[key] = values[0]
    return merged


def _added(values: Sequence[JsonValue]) -> JsonValue:
    total: dict[str, JsonValue] = {}
    for counts in values:
        if isinstance(counts, dict):
            for name, count in counts.items():
                total[name] = _number(total.get(name, 0)) + _number(count)
    return total


def _weighted(values: Sequence[JsonValue], counts: Sequence[JsonValue]) -> float | None:
    pairs = [(_number(v), _number(n)) for v, n in zip(values, counts, strict=True) if v is not None]
    weight = sum(count for _, count in pairs)
    return sum(value * count for value, count in pairs) / weight if weight else None


def _number(value: JsonValue) -> float | int:
    return value if isinstance(value, int | float) else 0
