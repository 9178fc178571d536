"""What is computed of labelled chips. Runs in a process of its own, so that no viewer waits for it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from eucentric_core import FrozenModel

from ._grid import Place

if TYPE_CHECKING:
    from eucentric_models.fewshot import ChipEncoder, Chips, EmbeddingCache, SupportSet

__all__ = ["ClassCheck", "MapRequest", "MappedFrame", "ShareOfClass", "map_frame", "warm_up"]

_NEAREST = 5
"""Support chips that are named for each chip."""


@dataclass(frozen=True, slots=True)
class MapRequest:
    """An image and what is known of it.

    Attributes:
        image: (ny, nx), raw.
        pixel_size_m: None if unknown.
        side_px: of a chip.
        offset_px: of the grid, y and x.
        chosen: places of the labelled chips of each class.
        earlier: a support set as JSON, whose chips are used as well; None for none.
        kept: which of them, and the class of each; None for all as they are (`chosen` is then empty).
    """

    image: npt.NDArray[np.generic]
    pixel_size_m: float | None
    side_px: int
    offset_px: tuple[int, int]
    chosen: dict[str, list[Place]]
    earlier: bytes | None = None
    kept: dict[int, str] | None = None


class ClassCheck(FrozenModel):
    """How the chips of one class fare when each is left out once.

    Attributes:
        name: of the class.
        chips: how many it has.
        recognised: how many are nearest to their own class.
        doubts: which are not, or hardly, in words.
    """

    name: str
    chips: int
    recognised: int
    doubts: tuple[str, ...]


class ShareOfClass(FrozenModel):
    """Statistics of one class over the image; see `eucentric_models.fewshot.ClassShare`."""

    name: str
    chips: int
    area_fraction: float
    area_fraction_low: float
    area_fraction_high: float
    area_nm2: float | None
    mean_confidence: float | None


@dataclass(frozen=True, slots=True)
class MappedFrame:
    """The answer.

    Attributes:
        support: the support set as JSON.
        digest: its version, of twelve digits.
        classes: names, the last of them `none of these`.
        side_px: of a chip; of a support set made elsewhere it need not be that of the grid.
        rows: of the grid.
        columns: of the grid.
        corner_px: top and left of the first chip.
        class_id: (n,) index into `classes`, row by row.
        confidence: (n,) float32.
        typicality: (n,) float32, share of chips of its class that would lie farther out; 0 is unlike all.
        uncertainty: (n,) float32, how far the probability depends on the support chips that were chosen.
        nearest: (n, k) indices of the nearest support chips.
        distances: (n, k) cosine distances to them.
        support_labels: class of each support chip.
        support_places: where each is from, for people.
        support_pixels: (m, side, side) uint8, to look at.
        checks: leave-one-out check of each class.
        shares: statistics of each class.
        took_s: time of the computation.
    """

    support: bytes
    digest: str
    classes: tuple[str, ...]
    side_px: int
    rows: int
    columns: int
    corner_px: tuple[int, int]
    class_id: npt.NDArray[np.int16]
    confidence: npt.NDArray[np.float32]
    typicality: npt.NDArray[np.float32]
    uncertainty: npt.NDArray[np.float32]
    nearest: npt.NDArray[np.int16]
    distances: npt.NDArray[np.float32]
    support_labels: tuple[str, ...]
    support_places: tuple[str, ...]
    support_pixels: npt.NDArray[np.uint8]
    checks: tuple[ClassCheck, ...]
    shares: tuple[ShareOfClass, ...]
    took_s: float


_opened: tuple[ChipEncoder, EmbeddingCache] | None = None


def warm_up() -> str:
    """Open the encoder before somebody waits for it; its version."""
    return _tools()[0].version


def map_frame(request: MapRequest) -> MappedFrame:
    """Make a support set of labelled chips, check it, and map the image by it.

    Raises:
        ModelsError: the image cannot be cut, or the support set cannot be used.
    """
    from eucentric_models.fewshot import ChipGrid, FewShotModel, cut_chips

    started_s = time.perf_counter()
    encoder, cache = _tools()
    grid = ChipGrid(chip_px=request.side_px, offset_px=request.offset_px)
    chips = cut_chips(request.image, grid, pixel_size_m=request.pixel_size_m)
    embeddings = cache.embedded(encoder, chips)
    support = _support(encoder, chips, request)
    mapped = FewShotModel(support, encoder).class_map(chips, embeddings)
    nearest, distances = _nearest(embeddings, support.vectors)
    columns = int(chips.columns.max()) + 1
    return MappedFrame(
        support=support.to_json(),
        digest=support.digest,
        classes=mapped.classes,
        side_px=chips.side_px,
        rows=len(chips) // columns,
        columns=columns,
        corner_px=(int(chips.tops_px[0]), int(chips.lefts_px[0])),
        class_id=mapped.class_id.astype(np.int16),
        confidence=mapped.classification.confidence,
        typicality=mapped.classification.typicality.astype(np.float32),
        uncertainty=mapped.uncertainty,
        nearest=nearest,
        distances=distances,
        support_labels=tuple(chip.label for chip in support.chips),
        support_places=tuple(chip.place for chip in support.chips),
        support_pixels=_to_look_at(support),
        checks=_checks(support),
        shares=tuple(
            ShareOfClass(**{field: getattr(share, field) for field in ShareOfClass.model_fields})
            for share in mapped.shares
        ),
        took_s=time.perf_counter() - started_s,
    )


def _tools() -> tuple[ChipEncoder, EmbeddingCache]:
    global _opened  # noqa: PLW0603  # of this process, which does nothing else
    if _opened is None:
        from eucentric_models.fewshot import EmbeddingCache, open_encoder

        _opened = open_encoder(), EmbeddingCache()
    return _opened


def _support(encoder: ChipEncoder, chips: Chips, request: MapRequest) -> SupportSet:
    from eucentric_models.fewshot import SupportSet

    if request.earlier is None:
        return SupportSet.build(encoder, chips, request.chosen)
    earlier = SupportSet.from_json(request.earlier)
    if request.kept is None:
        return earlier.embedded_by(encoder)
    if not request.kept:
        return SupportSet.build(encoder, chips, request.chosen)
    return SupportSet.joined(encoder, chips, request.chosen, earlier=earlier, kept=request.kept)


def _nearest(
    embeddings: npt.NDArray[np.float32], support: npt.NDArray[np.float32]
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float32]]:
    """Indices and cosine distances (n, k) of the support chips that are nearest to each chip."""
    distances = 1 - embeddings @ support.T
    order = np.argsort(distances, axis=1, kind="stable")[:, :_NEAREST]
    return order.astype(np.int16), np.take_along_axis(distances, order, axis=1).astype(np.float32)


def _to_look_at(support: SupportSet) -> npt.NDArray[np.uint8]:
    if support.pixels is None:
        return np.zeros((len(support.chips), 1, 1), np.uint8)
    return np.asarray(np.clip(255 * support.pixels.array(), 0, 255), np.uint8)


def _checks(support: SupportSet) -> tuple[ClassCheck, ...]:
    from eucentric_models.fewshot import check_support

    doubts = check_support(support).doubts
    found = []
    for name in support.classes:
        chips = sum(chip.label == name for chip in support.chips)
        own = [doubt for doubt in doubts if doubt.label == name]
        misplaced = sum(doubt.kind == "misplaced" for doubt in own)
        sentences = tuple(doubt.sentence for doubt in own)
        found.append(ClassCheck(name=name, chips=chips, recognised=chips - misplaced, doubts=sentences))
    return tuple(found)
