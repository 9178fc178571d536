"""What somebody has labelled, as a value; what they did, as frozen events that make one of another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self, TypeVar

from ...chips import (
    CLASS_PALETTE,
    MOST_CLASSES,
    Grid,
    LabelClass,
    LabelError,
    Place,
    checked_name,
    first_classes,
)

__all__ = [
    "FEWEST_CHIPS",
    "MOST_CHIPS_PER_CLASS",
    "AddClass",
    "DropKept",
    "LabelEvent",
    "Labelling",
    "Paint",
    "Recolour",
    "Regrid",
    "RemoveClass",
    "RenameClass",
    "applied",
]

FEWEST_CHIPS, MOST_CHIPS_PER_CLASS = 2, 100

_What = TypeVar("_What")


def _no_chips() -> Mapping[Place, int]:
    return MappingProxyType({})


def _none_kept() -> Mapping[int, int]:
    return MappingProxyType({})


@dataclass(frozen=True)
class Labelling:
    """Classes and the chips that have one. Never changed: an event makes another.

    Attributes:
        grid: over the image.
        classes: in order of their keys.
        chips: key of the class of each labelled chip of the image.
        kept: key of the class of each chip of a loaded support set that is from another image, by its
            index there.
    """

    grid: Grid
    classes: tuple[LabelClass, ...] = field(default_factory=first_classes)
    chips: Mapping[Place, int] = field(default_factory=_no_chips)
    kept: Mapping[int, int] = field(default_factory=_none_kept)

    @property
    def counts(self) -> dict[int, int]:
        """Chips of each class, by key."""
        found = Counter([*self.chips.values(), *self.kept.values()])
        return {one.key: found[one.key] for one in self.classes}

    @property
    def used(self) -> tuple[LabelClass, ...]:
        """Classes that have a chip."""
        counts = self.counts
        return tuple(one for one in self.classes if counts[one.key])

    @property
    def needs(self) -> tuple[str, ...]:
        """What is missing before anything can be mapped, for people; empty when nothing is."""
        counts = self.counts
        few = [one for one in self.used if counts[one.key] < FEWEST_CHIPS]
        many = [one for one in self.used if counts[one.key] > MOST_CHIPS_PER_CLASS]
        found = [f"{one.name}: one more chip, at least {FEWEST_CHIPS} are needed." for one in few]
        found += [
            f"{one.name}: at most {MOST_CHIPS_PER_CLASS} chips; five are usually enough." for one in many
        ]
        if len(self.used) < 2:
            missing = "two classes" if not self.used else "a second class"
            found.append(f"Label at least {FEWEST_CHIPS} chips of {missing}.")
        return tuple(found)

    def class_of(self, key: int) -> LabelClass:
        """A class by its key.

        Raises:
            LabelError: there is none.
        """
        for one in self.classes:
            if one.key == key:
                return one
        raise LabelError(
            f"There is no class with the key {key}.",
            safe="no label was changed.",
            next_step="choose one of the list, or add a class.",
        )

    def chosen(self) -> dict[str, list[Place]]:
        """Places of each class in the order of the grid, by name; classes without any are left out."""
        return {
            one.name: places
            for one in self.classes
            if (places := sorted(place for place, key in self.chips.items() if key == one.key))
        }

    def moved_to(self, grid: Grid) -> Self:
        """The labels on another grid: a chip keeps its label if it holds the middle of one that had it.

        Where two would be one chip, the one whose middle was nearer to the middle of that wins.
        """
        nearest: dict[Place, tuple[float, Place, int]] = {}
        for place, key in sorted(self.chips.items()):
            y_px, x_px = self.grid.centre_px(place)
            target = grid.place_at(y_px, x_px)
            if target is None:
                continue
            centre_y_px, centre_x_px = grid.centre_px(target)
            far = (centre_y_px - y_px) ** 2 + (centre_x_px - x_px) ** 2
            if target not in nearest or far < nearest[target][0]:
                nearest[target] = (far, place, key)
        chips = {target: key for target, (_, _, key) in sorted(nearest.items())}
        return replace(self, grid=grid, chips=MappingProxyType(chips))


@dataclass(frozen=True, slots=True)
class Paint:
    """Chips were given a class, or none: a click, or all of one drag."""

    places: tuple[Place, ...]
    key: int | None


@dataclass(frozen=True, slots=True)
class Regrid:
    """Another size or offset of chips."""

    grid: Grid


@dataclass(frozen=True, slots=True)
class AddClass:
    """A new class, of the first key that is free."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class RenameClass:
    """Another name."""

    key: int
    name: str


@dataclass(frozen=True, slots=True)
class Recolour:
    """Another colour."""

    key: int
    colour: str


@dataclass(frozen=True, slots=True)
class RemoveClass:
    """A class goes, and its labels with it."""

    key: int


@dataclass(frozen=True, slots=True)
class DropKept:
    """A chip of the loaded support set goes."""

    index: int


LabelEvent = Paint | Regrid | AddClass | RenameClass | Recolour | RemoveClass | DropKept


def applied(labelling: Labelling, event: LabelEvent) -> Labelling:
    """What an event makes of a labelling. Places outside of the grid are left out.

    Raises:
        LabelError: the event cannot be.
    """
    match event:
        case Paint(places=places, key=key):
            return _painted(labelling, places, key)
        case Regrid(grid=grid):
            return labelling.moved_to(grid)
        case AddClass(name=name):
            return _with_class(labelling, name)
        case RenameClass(key=key, name=name):
            others = tuple(one.name for one in labelling.classes if one.key != key)
            return _with(labelling, replace(labelling.class_of(key), name=checked_name(name, others)))
        case Recolour(key=key, colour=colour):
            return _with(labelling, replace(labelling.class_of(key), colour=_colour(colour)))
        case RemoveClass(key=key):
            gone = labelling.class_of(key)
            return replace(
                labelling,
                classes=tuple(one for one in labelling.classes if one is not gone),
                chips=_without(labelling.chips, key),
                kept=_without(labelling.kept, key),
            )
        case DropKept(index=index):
            kept = {at: key for at, key in labelling.kept.items() if at != index}
            return replace(labelling, kept=MappingProxyType(kept))


def _painted(labelling: Labelling, places: tuple[Place, ...], key: int | None) -> Labelling:
    if key is not None:
        labelling.class_of(key)
    chips = dict(labelling.chips)
    for place in places:
        if place in labelling.grid:
            if key is None:
                chips.pop(place, None)
            else:
                chips[place] = key
    return replace(labelling, chips=MappingProxyType(chips))


def _with_class(labelling: Labelling, name: str) -> Labelling:
    taken = {one.key for one in labelling.classes}
    free = next((key for key in range(1, MOST_CLASSES + 1) if key not in taken), None)
    if free is None:
        raise LabelError(
            f"There are {MOST_CLASSES} classes already.",
            safe="the classes are as they were.",
            next_step="remove one that is not needed.",
        )
    others = tuple(one.name for one in labelling.classes)
    added = LabelClass(free, checked_name(name or f"class {free}", others), CLASS_PALETTE[free - 1])
    return replace(labelling, classes=tuple(sorted((*labelling.classes, added), key=lambda one: one.key)))


def _with(labelling: Labelling, changed: LabelClass) -> Labelling:
    classes = tuple(changed if one.key == changed.key else one for one in labelling.classes)
    return replace(labelling, classes=classes)


def _without(labels: Mapping[_What, int], key: int) -> Mapping[_What, int]:
    return MappingProxyType({what: other for what, other in labels.items() if other != key})


def _colour(colour: str) -> str:
    if (
        len(colour) == 7
        and colour[0] == "#"
        and all(digit in "0123456789abcdefABCDEF" for digit in colour[1:])
    ):
        return colour.lower()
    raise LabelError(
        f"{colour!r} is no colour.", safe="the colour is as it was.", next_step="choose one, such as #56b4e9."
    )
