"""Which chips of a support set are in the wrong class, or of none: found by leaving out each once."""

from __future__ import annotations

from typing import Literal

import numpy as np

from eucentric_core import FrozenModel

from ._prototypes import leave_one_out_distances
from ._support_set import FEWEST_CHIPS, SupportSet

_AMBIGUOUS_RATIO = 0.75
"""A chip whose own class is not nearer than this part of the distance of another one is ambiguous."""


class ChipDoubt(FrozenModel):
    """What is odd about a chip of a support set.

    Attributes:
        index: of the chip in the set.
        kind: ``misplaced``: nearer to another class; ``ambiguous``: hardly nearer to its own.
        label: its class.
        looks_like: the other class.
        own_distance: cosine distance to the other chips of its class.
        other_distance: cosine distance to the other class.
        sentence: the same in words.
    """

    index: int
    kind: Literal["misplaced", "ambiguous"]
    label: str
    looks_like: str
    own_distance: float
    other_distance: float
    sentence: str


class SupportReport(FrozenModel):
    """Outcome of a check.

    Attributes:
        chips: how many were checked.
        recognised: how many are nearest to their own class when left out.
        doubts: chips to look at, the worst first.
    """

    chips: int
    recognised: int
    doubts: tuple[ChipDoubt, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people."""
        first = f"{self.recognised} of {self.chips} support chips are recognised when left out."
        return (first, *(doubt.sentence for doubt in self.doubts))


def check_support(support: SupportSet) -> SupportReport:
    """Leave out each chip once and classify it by the others.

    A chip in the wrong class also spoils the prototypes by which its neighbours are judged: the worst is set
    aside before the others are judged again.
    """
    vectors, class_id = support.vectors, support.class_id
    rows = np.arange(len(class_id))
    first = leave_one_out_distances(vectors, class_id)
    recognised = int((first.argmin(axis=1) == class_id).sum())
    kept = rows
    doubts: list[ChipDoubt] = []
    distances = first
    while True:
        own, other, which = _own_and_other(distances, class_id[kept])
        margin = own - other
        worst = int(margin.argmax())
        if margin[worst] <= 0:
            break
        doubts.append(_doubt(support, int(kept[worst]), "misplaced", own[worst], other[worst], which[worst]))
        if np.count_nonzero(class_id[kept] == class_id[kept[worst]]) <= FEWEST_CHIPS:
            # Without it nothing could be said about its class any more.
            break
        kept = np.delete(kept, worst)
        distances = leave_one_out_distances(vectors[kept], class_id[kept])
    named = {doubt.index for doubt in doubts}
    for place, index in enumerate(kept):
        if index not in named and own[place] > _AMBIGUOUS_RATIO * other[place]:
            kind: Literal["misplaced", "ambiguous"] = "misplaced" if margin[place] > 0 else "ambiguous"
            doubts.append(_doubt(support, int(index), kind, own[place], other[place], which[place]))
    return SupportReport(chips=len(class_id), recognised=recognised, doubts=tuple(doubts))


def _own_and_other(distances: np.ndarray, class_id: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance to the own class, to the nearest other one, and which that is."""
    rows = np.arange(len(class_id))
    own = distances[rows, class_id].copy()
    others = distances.copy()
    others[rows, class_id] = np.inf
    which = others.argmin(axis=1)
    return own, others[rows, which], which


def _doubt(
    support: SupportSet,
    index: int,
    kind: Literal["misplaced", "ambiguous"],
    own: float,
    other: float,
    which: int,
) -> ChipDoubt:
    chip, looks_like = support.chips[index], support.classes[which]
    if kind == "misplaced":
        said = f"looks like {looks_like!r} rather than {chip.label!r}: move it or choose another."
    else:
        said = f"lies between {chip.label!r} and {looks_like!r}: a clearer chip would help."
    return ChipDoubt(
        index=index,
        kind=kind,
        label=chip.label,
        looks_like=looks_like,
        own_distance=float(own),
        other_distance=float(other),
        sentence=f"The chip at {chip.place} of class {chip.label!r} (distance {own:.2f} to its own class, "
        f"{other:.2f} to {looks_like!r}) {said}",
    )
