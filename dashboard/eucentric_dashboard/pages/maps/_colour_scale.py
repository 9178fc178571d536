"""Colours of a figure from 0 to 1."""

from __future__ import annotations

__all__ = ["STEPS", "colour_scale"]

STEPS = 32

_CIVIDIS = (
    *("#00224e", "#123570", "#3b496c", "#575d6d", "#707173"),
    *("#8a8678", "#a59c74", "#c3b369", "#e1cc55", "#fee838"),
)
"""Ten colours of Cividis (Nuñez, Anderton and Renslow 2018): the same for every kind of colour vision."""


def colour_scale() -> tuple[str, ...]:
    """`STEPS` colours from 0 to 1, dark to bright."""
    found = []
    for step in range(STEPS):
        at = step / (STEPS - 1) * (len(_CIVIDIS) - 1)
        low = min(int(at), len(_CIVIDIS) - 2)
        share = at - low
        channels = zip(_channels(_CIVIDIS[low]), _channels(_CIVIDIS[low + 1]), strict=True)
        found.append("#" + "".join(f"{round(a + share * (b - a)):02x}" for a, b in channels))
    return tuple(found)


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
