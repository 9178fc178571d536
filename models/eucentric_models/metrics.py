"""How good detections are: one-to-one matching with the truth, precision, recall, F1 and position error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .decoding import Detections


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Matches of one class, added up over frames."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def precision(self) -> float:
        """Share of the detections that are right; 1 when there is none and none was missed."""
        return _share(self.true_positives, self.false_positives, self.false_negatives)

    @property
    def recall(self) -> float:
        """Share of the true columns that were found; 1 when there is none and none was invented."""
        return _share(self.true_positives, self.false_negatives, self.false_positives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        wrong = self.false_positives + self.false_negatives
        return 1.0 if wrong == 0 else 2 * self.true_positives / (2 * self.true_positives + wrong)

    def __add__(self, other: ClassCounts) -> ClassCounts:
        return ClassCounts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
        )


@dataclass(frozen=True, slots=True)
class Score:
    """Detection quality over any number of frames; scores add up.

    Attributes:
        per_class: counts by class id.
        squared_error_m2: summed squared distance of the true positives.
        frames: how many frames were scored.
    """

    per_class: dict[int, ClassCounts] = field(default_factory=dict)
    squared_error_m2: float = 0.0
    frames: int = 0

    @property
    def micro(self) -> ClassCounts:
        """Counts of all classes together."""
        return sum(self.per_class.values(), ClassCounts())

    @property
    def f1(self) -> float:
        """Micro-averaged F1: position within the tolerance *and* class right."""
        return self.micro.f1

    @property
    def precision(self) -> float:
        """Micro-averaged precision."""
        return self.micro.precision

    @property
    def recall(self) -> float:
        """Micro-averaged recall."""
        return self.micro.recall

    @property
    def position_rmse_m(self) -> float | None:
        """Root mean squared distance of the true positives; None when there is none."""
        found = self.micro.true_positives
        return float(np.sqrt(self.squared_error_m2 / found)) if found else None

    def __add__(self, other: Score) -> Score:
        ids = sorted({*self.per_class, *other.per_class})
        none = ClassCounts()
        return Score(
            {i: self.per_class.get(i, none) + other.per_class.get(i, none) for i in ids},
            self.squared_error_m2 + other.squared_error_m2,
            self.frames + other.frames,
        )

    def as_dict(self, classes: tuple[str, ...] = ()) -> dict[str, object]:
        """JSON-plain summary: f1, precision, recall, position_rmse_m, frames, per_class_f1."""
        names = {i: classes[i] if i < len(classes) else str(i) for i in self.per_class}
        return {
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "position_rmse_m": self.position_rmse_m,
            "frames": self.frames,
            "per_class_f1": {names[i]: counts.f1 for i, counts in self.per_class.items()},
        }


@dataclass(frozen=True, slots=True)
class FrameJudgement:
    """Score of one frame, and which detection was right.

    Attributes:
        score: counts and squared error.
        correct: (n,) bool, detection paired with a column of its class.
        counted: (n,) bool, detection that enters the score at all.
    """

    score: Score
    correct: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def score_frame(
    detections: Detections,
    truth: NDArray[np.floating],
    *,
    n_classes: int,
    pixel_size_m: float,
    shape: tuple[int, int],
    tolerance_m: float = 60e-12,
    border_m: float = 120e-12,
) -> Score:
    """Score of one frame; arguments and rules are those of :func:`judge_frame`."""
    return judge_frame(
        detections,
        truth,
        n_classes=n_classes,
        pixel_size_m=pixel_size_m,
        shape=shape,
        tolerance_m=tolerance_m,
        border_m=border_m,
    ).score


def judge_frame(
    detections: Detections,
    truth: NDArray[np.floating],
    *,
    n_classes: int,
    pixel_size_m: float,
    shape: tuple[int, int],
    tolerance_m: float = 60e-12,
    border_m: float = 120e-12,
) -> FrameJudgement:
    """Judge the detections of one frame.

    Pairs are formed one to one by rising distance, regardless of class, up to ``tolerance_m``; a pair of
    unequal classes counts as one false positive and one false negative.  Truth rows whose class is not below
    ``n_classes`` (vacancies) and rows closer than ``border_m`` to the edge are neither demanded nor held
    against a detection that pairs with them; unpaired detections inside the border do not count either.

    Args:
        detections: what was found.
        truth: (n, 3) rows ``y_px, x_px, class_id``.
        n_classes: number of detectable classes.
        pixel_size_m: calibration that turns distances into metres.
        shape: ``(ny, nx)`` of the frame.
        tolerance_m: largest distance of a pair.
        border_m: width of the frame edge that is left out.
    """
    truth = np.asarray(truth, np.float64).reshape(-1, 3)
    found = np.asarray(detections.positions_px, np.float64)
    border_px = border_m / pixel_size_m
    demanded = (truth[:, 2] < n_classes) & _inside(truth[:, :2], shape, border_px)
    counted = _inside(found, shape, border_px)
    correct = np.zeros(len(found), bool)
    counts = {i: ClassCounts() for i in range(n_classes)}
    squared_error_m2 = 0.0
    free_found = np.ones(len(found), bool)
    free_truth = np.ones(len(truth), bool)
    for row, column, distance_m in _pairs(found, truth[:, :2], tolerance_m / pixel_size_m, pixel_size_m):
        if not (free_found[row] and free_truth[column]):
            continue
        free_found[row] = free_truth[column] = False
        counted[row] = demanded[column]
        if not demanded[column]:
            continue
        said, is_class = int(detections.class_id[row]), int(truth[column, 2])
        if said == is_class:
            correct[row] = True
            counts[is_class] += ClassCounts(true_positives=1)
            squared_error_m2 += distance_m**2
        else:
            counts[said] += ClassCounts(false_positives=1)
            counts[is_class] += ClassCounts(false_negatives=1)
    for class_id in detections.class_id[free_found & counted]:
        counts[int(class_id)] += ClassCounts(false_positives=1)
    for class_id in truth[free_truth & demanded, 2]:
        counts[int(class_id)] += ClassCounts(false_negatives=1)
    return FrameJudgement(Score(counts, squared_error_m2, 1), correct, counted)


def total(scores: Iterable[Score]) -> Score:
    """Sum of scores; an empty score when there is none."""
    return sum(scores, Score())


def _inside(points: NDArray[np.float64], shape: tuple[int, int], border_px: float) -> NDArray[np.bool_]:
    high = np.asarray(shape) - 1 - border_px
    return np.all((points >= border_px) & (points <= high), axis=1)


def _pairs(
    found: NDArray[np.float64], truth: NDArray[np.float64], tolerance_px: float, pixel_size_m: float
) -> list[tuple[int, int, float]]:
    if not len(found) or not len(truth):
        return []
    # Sorting by y bounds the comparison to a band, so memory stays linear in the number of columns.
    order = np.argsort(truth[:, 0], kind="stable")
    start = np.searchsorted(truth[order, 0], found[:, 0] - tolerance_px)
    stop = np.searchsorted(truth[order, 0], found[:, 0] + tolerance_px, side="right")
    row = np.repeat(np.arange(len(found)), stop - start)
    within = np.arange(len(row)) - np.repeat(np.cumsum(stop - start) - (stop - start), stop - start)
    column = order[np.repeat(start, stop - start) + within]
    distance = np.hypot(*(found[row] - truth[column]).T)
    near = np.flatnonzero(distance <= tolerance_px)
    near = near[np.argsort(distance[near], kind="stable")]
    return [(int(row[i]), int(column[i]), float(distance[i] * pixel_size_m)) for i in near]


def _share(right: int, wrong: int, other_wrong: int) -> float:
    if right + wrong == 0:
        return 1.0 if other_wrong == 0 else 0.0
    return right / (right + wrong)
