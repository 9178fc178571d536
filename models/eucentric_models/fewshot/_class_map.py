"""Class maps: every chip of a frame with its class, and what share of the area each class has."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from eucentric_core import FrozenModel

from ..engines import Findings
from ._chips import Chips
from ._prototypes import Classification

_INTERVAL = (5.0, 95.0)


class ClassShare(FrozenModel):
    """Statistics of one class over a frame.

    Attributes:
        name: of the class.
        chips: how many.
        area_fraction: of the chips of the frame.
        area_fraction_low: 5th percentile over other support chips of the same classes (drawn with replacement
            from those chosen): how much the fraction depends on which chips somebody clicked on.
        area_fraction_high: 95th percentile of the same.
        area_nm2: None where the pixel size is unknown; overlapping chips share their area.
        mean_confidence: None where there are none.
    """

    name: str
    chips: int
    area_fraction: float
    area_fraction_low: float
    area_fraction_high: float
    area_nm2: float | None
    mean_confidence: float | None


@dataclass(frozen=True, slots=True)
class ClassMap:
    """Classes of all chips of a frame.

    Attributes:
        chips: of the frame.
        classes: names, the last of them `none of these`.
        classification: of each chip.
        class_id: (n,) index into `classes`.
        uncertainty: (n,) float32, standard deviation of the nearest class's probability over resampled
            support.
        changed: (n,) chips that would be of another class but for their neighbours.
        shares: statistics of each class, in order.
    """

    chips: Chips
    classes: tuple[str, ...]
    classification: Classification
    class_id: NDArray[np.intp]
    uncertainty: NDArray[np.float32]
    changed: NDArray[np.bool_]
    shares: tuple[ClassShare, ...]

    def grid(self) -> NDArray[np.intp]:
        """(rows, columns) index into `classes` of each chip."""
        grid = np.empty((int(self.chips.rows.max()) + 1, int(self.chips.columns.max()) + 1), np.intp)
        grid[self.chips.rows, self.chips.columns] = self.class_id
        return grid

    def findings(self, *, drift_score: float | None = None, unsure: tuple[str, ...] = ()) -> ChipFindings:
        """As engines answer: rows for a table, a picture and a summary."""
        distances = {
            f"distance {name}": column
            for name, column in zip(self.classes, self.classification.distances.T, strict=False)
        }
        return ChipFindings(
            positions_px=self.chips.centres_px,
            class_id=self.class_id,
            confidence=self.classification.confidence,
            uncertainty=self.uncertainty,
            classes=self.classes,
            chip_px=(self.chips.side_px, self.chips.side_px),
            drift_score=drift_score,
            unsure=unsure,
            extras={
                "row": self.chips.rows,
                "column": self.chips.columns,
                "typicality": self.classification.typicality,
                "changed by neighbours": self.changed.astype(np.intp),
                **distances,
            },
            shares=self.shares,
        )

    def write_csv(self, path: Path) -> None:
        """Write one line for each chip: place, class, confidence, uncertainty and all distances."""
        table = self.findings().columns(self.chips.pixel_size_m)
        with path.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(table)
            writer.writerows(zip(*(np.asarray(column).tolist() for column in table.values()), strict=True))


@dataclass(frozen=True, slots=True)
class ChipFindings(Findings):
    """Classes of chips as an engine's answer.

    Attributes:
        shares: statistics of each class.
    """

    shares: tuple[ClassShare, ...] = ()

    def summary(self) -> dict[str, JsonValue]:
        """Counts, means, and the fraction of the area of each class with its interval."""
        facts = Findings.summary(self)
        facts["area_fractions"] = {
            share.name: {
                "fraction": share.area_fraction,
                "low": share.area_fraction_low,
                "high": share.area_fraction_high,
                "area_nm2": share.area_nm2,
            }
            for share in self.shares
        }
        return facts


def class_shares(
    chips: Chips,
    classes: tuple[str, ...],
    class_id: NDArray[np.intp],
    confidence: NDArray[np.float32],
    fractions: NDArray[np.float64],
) -> tuple[ClassShare, ...]:
    """Statistics of every class.

    Args:
        chips: of the frame.
        classes: their names.
        class_id: (n,) of each chip.
        confidence: (n,) of each chip.
        fractions: (resamples, n_classes) of the area, with other support chips.
    """
    return tuple(
        _share(name, class_id == index, confidence, fractions[:, index], chips)
        for index, name in enumerate(classes)
    )


def _share(
    name: str,
    own: NDArray[np.bool_],
    confidence: NDArray[np.float32],
    fractions: NDArray[np.float64],
    chips: Chips,
) -> ClassShare:
    low, high = np.percentile(fractions, _INTERVAL)
    fraction = float(own.mean())
    frame_nm2 = None if chips.pixel_size_m is None else _covered_px(chips) * (chips.pixel_size_m * 1e9) ** 2
    return ClassShare(
        name=name,
        chips=int(own.sum()),
        area_fraction=fraction,
        # What was found belongs to its own interval, however the support chips were drawn.
        area_fraction_low=min(float(low), fraction),
        area_fraction_high=max(float(high), fraction),
        area_nm2=None if frame_nm2 is None else fraction * frame_nm2,
        mean_confidence=float(confidence[own].mean()) if own.any() else None,
    )


def _covered_px(chips: Chips) -> float:
    """Pixels of the frame that lie in any chip."""
    tops, lefts = np.unique(chips.tops_px), np.unique(chips.lefts_px)
    return float(np.prod([_union(edges, chips.side_px) for edges in (tops, lefts)]))


def _union(starts: NDArray[np.intp], length: int) -> int:
    return int(np.minimum(np.diff(starts), length).sum()) + length
