"""Simulated images with the truth about every chip, and support chips as somebody would point at them.

What metrics, typical distances and every number of the method are chosen and checked by. SIMULATED.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from ._chips import ChipGrid, Chips, cut_chips
from .textures import Specimen, draw_specimen, draw_surface

Placing = Literal["edge", "spot", "spread", "mixed"]

PLACINGS: tuple[Placing, ...] = ("edge", "spot", "spread", "mixed")
"""Where support chips are from: a side of each region, one spot of it, everywhere, or a side of one only."""

CHIPS_ACROSS = {24: 24, 32: 22, 48: 20, 64: 16, 80: 14}
"""Side of a chip in pixels, and how many an image has in a row."""

_SHOTS = (2, 3, 4, 5, 5, 7, 10)
_PART = 0.12
_FEWEST_OTHERS = 6
_SURFACES = 1


@dataclass(frozen=True, slots=True)
class Support:
    """Chips that somebody points at.

    Attributes:
        chips: (n,) indices.
        class_id: (n,) of each.
        regions: which region of the specimen each class is.
    """

    chips: NDArray[np.intp]
    class_id: NDArray[np.intp]
    regions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Survey:
    """The chips of a simulated image.

    Attributes:
        chips: of it.
        truth: (n,) region of each chip, -1 where it shows an interface or a speck.
    """

    chips: Chips
    truth: NDArray[np.intp]

    @classmethod
    def draw(cls, seed: int, index: int) -> Self:
        """The image of a seed with this number: two to four regions, chips of 24 to 80 pixels."""
        rng = np.random.default_rng((seed, index))
        side_px = int(rng.choice(list(CHIPS_ACROSS)))
        image_px = CHIPS_ACROSS[side_px] * side_px
        specimen = draw_specimen((image_px, image_px), int(rng.choice([2, 3, 3, 4])), side_px / 2, rng)
        return cls._cut(specimen, side_px)

    @classmethod
    def draw_surface(cls, seed: int, index: int) -> Self:
        """The image of a seed with this number: one or two films that fade into what covers them."""
        rng = np.random.default_rng((seed, _SURFACES, index))
        side_px = int(rng.choice(list(CHIPS_ACROSS)))
        image_px = CHIPS_ACROSS[side_px] * side_px
        return cls._cut(draw_surface((image_px, image_px), int(rng.choice([1, 2, 2])), side_px, rng), side_px)

    @classmethod
    def _cut(cls, specimen: Specimen, side_px: int) -> Self:
        chips = cut_chips(specimen.image, ChipGrid(chip_px=side_px))
        return cls(chips, specimen.purest(chips.tops_px, chips.lefts_px, side_px))

    def support(self, placing: Placing, rng: np.random.Generator) -> Support | None:
        """Two to ten chips of each region that is large enough; None where fewer than two are.

        Args:
            placing: where from.
            rng: source of chance.
        """
        shots = int(rng.choice(_SHOTS))
        counts = np.bincount(self.truth[self.truth >= 0], minlength=1)
        regions = tuple(np.flatnonzero(counts >= shots + _FEWEST_OTHERS).tolist())
        if len(regions) < 2:
            return None
        odd = int(rng.integers(len(regions)))
        drawn = []
        for index, region in enumerate(regions):
            where = placing if placing != "mixed" else "edge" if index == odd else "spread"
            drawn.append(rng.choice(self._part(region, where, shots, rng), shots, replace=False))
        return Support(np.concatenate(drawn), np.repeat(np.arange(len(regions)), shots), regions)

    def labels(self, support: Support) -> NDArray[np.intp]:
        """(n,) class of each chip that may be judged; -1 for support chips and those of no class."""
        labels = np.full(len(self.truth), -1, np.intp)
        for index, region in enumerate(support.regions):
            labels[self.truth == region] = index
        labels[support.chips] = -1
        return labels

    def _part(self, region: int, where: Placing, shots: int, rng: np.random.Generator) -> NDArray[np.intp]:
        (own,) = np.nonzero(self.truth == region)
        if where == "spread":
            return own
        places = np.stack([self.chips.rows[own], self.chips.columns[own]], axis=1).astype(float)
        if where == "edge":
            angle_rad = rng.choice(4) * np.pi / 2
            order = places @ np.array([np.sin(angle_rad), np.cos(angle_rad)]) + 1e-3 * rng.random(len(own))
        else:
            order = np.hypot(*(places - places[rng.integers(len(own))]).T)
        return own[np.argsort(order)[: max(shots, int(_PART * len(own)))]]
