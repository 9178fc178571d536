"""Where the beam falls: the scanned rectangle on the specimen."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Field", "around"]


@dataclass(frozen=True, slots=True)
class Field:
    """The rectangle that is scanned, in the stage's coordinates.

    `reach_m` is how far it may lie from there because the beam is shifted, in any direction.
    """

    x_m: float
    y_m: float
    width_m: float
    height_m: float
    reach_m: float = 0.0

    @property
    def area_m2(self) -> float:
        """Area of the rectangle."""
        return self.width_m * self.height_m


def around(*fields: Field) -> Field:
    """The smallest upright rectangle that holds all of them; no reach is left over."""
    left = min(field.x_m - field.width_m / 2 - field.reach_m for field in fields)
    right = max(field.x_m + field.width_m / 2 + field.reach_m for field in fields)
    bottom = min(field.y_m - field.height_m / 2 - field.reach_m for field in fields)
    top = max(field.y_m + field.height_m / 2 + field.reach_m for field in fields)
    return Field((left + right) / 2, (bottom + top) / 2, right - left, top - bottom)
