"""A support set that was saved or brought, and how much of it lies on the image that is open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from eucentric_model_registry.support_sets import SupportSetRecord

from ...chips import CLASS_PALETTE, MOST_CLASSES, Grid, LabelClass, Place, StudioImage
from ._labels import Labelling

__all__ = ["LoadedSet", "labelling_of", "read_loaded"]


@dataclass(frozen=True, eq=False)
class LoadedSet:
    """Chips with names, and what they look like.

    Attributes:
        content: as JSON.
        labels: class of each chip.
        frames: hash of the image that each is from, None for a file.
        places: row and column of each in its grid, None for a file.
        corners_px: top and left of each in its image, None for a file.
        chip_px: side of a chip.
        pixel_size_m: of the image, None if unknown.
        pictures: (n, side, side) uint8, to look at.
    """

    content: bytes
    labels: tuple[str, ...]
    frames: tuple[str | None, ...]
    places: tuple[Place | None, ...]
    corners_px: tuple[tuple[int, int] | None, ...]
    chip_px: int
    pixel_size_m: float | None
    pictures: npt.NDArray[np.uint8]


def read_loaded(content: bytes) -> LoadedSet:
    """Read a support set.

    Raises:
        SupportSetError: it is none.
    """
    from eucentric_models.fewshot import SupportSet

    support = SupportSet.from_json(content)
    pixels = np.zeros((len(support.chips), 1, 1)) if support.pixels is None else support.pixels.array()
    return LoadedSet(
        content=content,
        labels=tuple(chip.label for chip in support.chips),
        frames=tuple(chip.frame_sha256 for chip in support.chips),
        places=tuple(_pair(chip.row, chip.column) for chip in support.chips),
        corners_px=tuple(_pair(chip.top_px, chip.left_px) for chip in support.chips),
        chip_px=support.chip_px,
        pixel_size_m=support.pixel_size_m,
        pictures=np.asarray(np.clip(255 * pixels, 0, 255), np.uint8),
    )


def labelling_of(loaded: LoadedSet, image: StudioImage, record: SupportSetRecord | None) -> Labelling:
    """The labels of a support set over an image: chips of this very image lie on it, the others are kept.

    Chips are as large as those of the set: in nm where both images are calibrated, in pixels otherwise.
    """
    from eucentric_models.fewshot import content_sha256

    side = loaded.chip_px
    if loaded.pixel_size_m is not None and image.pixel_size_m is not None:
        side = round(side * loaded.pixel_size_m / image.pixel_size_m)
    classes = _classes(loaded, record)
    keys = {one.name: one.key for one in classes}
    own_sha256 = content_sha256(image.array)
    own = [
        (index, corner)
        for index, (frame, corner) in enumerate(zip(loaded.frames, loaded.corners_px, strict=True))
        if corner is not None and frame == own_sha256
    ]
    grid = Grid.of(image.shape_px, image.pixel_size_m, side_px=side)
    if own and grid.side_px == loaded.chip_px:
        top, left = own[0][1]
        grid = grid.with_offset_px(top % grid.side_px, left % grid.side_px)
    chips: dict[Place, int] = {}
    for index, corner in own:
        place = grid.place_at(corner[0] + 0.5, corner[1] + 0.5)
        if place is not None and grid.corner_px(place) == corner:
            chips[place] = keys[loaded.labels[index]]
    lying = {index for index, corner in own if grid.place_at(corner[0] + 0.5, corner[1] + 0.5) in chips}
    kept = {index: keys[label] for index, label in enumerate(loaded.labels) if index not in lying}
    return Labelling(grid, classes, MappingProxyType(chips), MappingProxyType(kept))


def _classes(loaded: LoadedSet, record: SupportSetRecord | None) -> tuple[LabelClass, ...]:
    names = tuple(dict.fromkeys(loaded.labels))[:MOST_CLASSES]
    known: Mapping[str, LabelClass] = {
        one.name: LabelClass(one.key, one.name, one.colour) for one in (record.classes if record else ())
    }
    if set(names) <= set(known):
        return tuple(known.values())
    return tuple(LabelClass(key, name, CLASS_PALETTE[key - 1]) for key, name in enumerate(names, 1))


def _pair(first: int | None, second: int | None) -> tuple[int, int] | None:
    return None if first is None or second is None else (first, second)
