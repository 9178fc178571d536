"""Classes that chips are given: a key from 1 to 9, a name, a colour."""

from __future__ import annotations

from dataclasses import dataclass

from ._errors import LabelError

__all__ = ["CLASS_PALETTE", "MOST_CLASSES", "NONE_COLOUR", "LabelClass", "checked_name", "first_classes"]

MOST_CLASSES = 9
"""As many as there are keys to choose them by."""

CLASS_PALETTE = (
    "#56b4e9",
    "#e69f00",
    "#cc79a7",
    "#009e73",
    "#f0e442",
    "#d55e00",
    "#ffffff",
    "#8c7ae6",
    "#a5673f",
)
"""The first six after Okabe and Ito (2008), "Color universal design"; each chip shows its key as well."""

NONE_COLOUR = "#9aa4ae"
"""Grey, hatched: "none of these" is no class."""

_LONGEST_NAME = 60
_RESERVED = "none of these"


@dataclass(frozen=True, slots=True)
class LabelClass:
    """A class.

    Attributes:
        key: 1 to 9: the key that chooses it, and what its chips show.
        name: for people and for the model.
        colour: `#rrggbb`.
    """

    key: int
    name: str
    colour: str


def first_classes() -> tuple[LabelClass, ...]:
    """Two to begin with."""
    return tuple(LabelClass(key, f"class {key}", CLASS_PALETTE[key - 1]) for key in (1, 2))


def checked_name(name: str, others: tuple[str, ...]) -> str:
    """A name as it is kept.

    Raises:
        LabelError: it is empty, too long, taken, or means "none of these".
    """
    plain = " ".join(name.split())
    if not plain:
        raise _refused("A class needs a name.", "type one, such as film or substrate.")
    if len(plain) > _LONGEST_NAME:
        raise _refused(f"A name of {len(plain)} letters is too long.", f"use at most {_LONGEST_NAME}.")
    if plain.casefold() == _RESERVED:
        raise _refused(f"{plain!r} is what no class is called.", "choose another name.")
    if plain.casefold() in {other.casefold() for other in others}:
        raise _refused(f"There is a class {plain!r} already.", "choose another name.")
    return plain


def _refused(what: str, next_step: str) -> LabelError:
    return LabelError(what, safe="the classes are as they were.", next_step=next_step)
