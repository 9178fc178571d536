"""Colours that stay apart for every kind of colour vision."""

from __future__ import annotations

__all__ = ["CLASS_COLOURS", "UNCERTAINTY_COLOUR", "colour_of"]

CLASS_COLOURS = ("#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#f0e442", "#d55e00")
"""Okabe and Ito (2008), "Color universal design", without the two that vanish on a dark micrograph."""

UNCERTAINTY_COLOUR = (240, 228, 66)
"""Yellow of the same palette as red, green, blue; its opacity says how much the ensemble disagrees."""


def colour_of(class_id: int) -> str:
    """Colour of a class as CSS; it repeats after six classes."""
    return CLASS_COLOURS[class_id % len(CLASS_COLOURS)]
