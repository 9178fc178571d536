"""The same story as a picture: frames with detections before and after, and F1 over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, ScalarFormatter

from ._observer import Answer, Snapshot

__all__ = ["draw"]

# Okabe and Ito's palette, told apart with every kind of colour vision, in the order of the dashboard.
_CLASS_COLOURS = ("#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#f0e442", "#d55e00")
_MAX_PANELS = 3


def _round_scale_bar(field_m: float) -> float:
    """The length 1, 2 or 5 times a power of ten that is nearest below a quarter of the field (m)."""
    wanted = field_m / 4
    decade = 10.0 ** np.floor(np.log10(wanted))
    return float(max(step * decade for step in (1, 2, 5) if step * decade <= wanted))


def _draw_frame(axes: Axes, title: str, snapshot: Snapshot) -> None:
    image = np.asarray(snapshot.image.array, dtype=np.float32)
    low, high = np.percentile(image, (1, 99.7))
    axes.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    for class_id, name in enumerate(snapshot.result.classes):
        rows = snapshot.rows[snapshot.rows[:, 2] == class_id]
        axes.scatter(
            rows[:, 1],
            rows[:, 0],
            s=26,
            facecolors="none",
            edgecolors=_CLASS_COLOURS[class_id % len(_CLASS_COLOURS)],
            linewidths=0.9,
            label=f"{name} ({len(rows)})",
        )
    ny, nx = image.shape
    if (pixel_m := snapshot.result.pixel_size_m) is not None:
        bar_m = _round_scale_bar(nx * pixel_m)
        axes.plot([0.04 * nx, 0.04 * nx + bar_m / pixel_m], [0.95 * ny] * 2, color="white", linewidth=3)
        axes.text(0.04 * nx, 0.93 * ny, f"{bar_m * 1e9:g} nm", color="white", va="bottom", fontsize=8)
    axes.legend(loc="upper right", fontsize=7, framealpha=0.85)
    axes.set_xlim(-0.5, nx - 0.5)
    axes.set_ylim(ny - 0.5, -0.5)
    axes.set_xticks([])
    axes.set_yticks([])
    quality = "" if snapshot.score is None else f", F1 {snapshot.score.f1:.2f}"
    axes.set_title(f"{title}: model v{snapshot.result.model_version}{quality}", fontsize=10)


def _moving_mean(values: npt.NDArray[np.float64], window: int = 5) -> npt.NDArray[np.float64]:
    """Mean of up to `window` values ending at each one."""
    sums = np.cumsum(np.concatenate([[0.0], values]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return (sums[ends] - sums[starts]) / (ends - starts)


def _draw_course(axes: Axes, answers: Sequence[Answer], marks: Mapping[str, int]) -> None:
    sequence = np.array([answer.result.sequence for answer in answers])
    drift = np.array([answer.result.drift_score for answer in answers])
    if answers and all(answer.score is not None for answer in answers):
        f1 = np.array([answer.score.f1 for answer in answers if answer.score is not None])
        axes.plot(sequence, f1, ".", color="#999999", markersize=3)
        axes.plot(sequence, _moving_mean(f1), color="#0072B2", linewidth=1.8)
        axes.set_ylabel("F1 (blue)", color="#0072B2")
        axes.set_ylim(0, 1.02)
    else:
        counts = np.array([answer.detections for answer in answers])
        axes.plot(sequence, counts, color="#0072B2", linewidth=1.2)
        axes.set_ylabel("detections (blue)", color="#0072B2")
    right = axes.twinx()
    right.plot(sequence, np.maximum(drift, 1e-2), color="#D55E00", linewidth=1.2)
    right.axhline(1.0, color="#D55E00", linewidth=0.7, linestyle=":")
    right.set_yscale("log")
    right.yaxis.set_major_formatter(ScalarFormatter())
    right.yaxis.set_minor_formatter(NullFormatter())
    right.set_ylabel("drift score (orange, 1 = edge of the known)", color="#D55E00", fontsize=8)
    for name, at in marks.items():
        axes.axvline(at, color="black", linewidth=0.8, linestyle="--")
        axes.annotate(
            name,
            (at, 0.5),
            xycoords=("data", "axes fraction"),
            rotation=90,
            ha="right",
            va="center",
            fontsize=8,
        )
    axes.set_xlabel("frame")


def draw(
    path: Path,
    *,
    title: str,
    snapshots: Mapping[str, Snapshot],
    answers: Sequence[Answer],
    marks: Mapping[str, int],
) -> None:
    """Write the picture as PNG.

    Args:
        path: where to.
        title: headline; says SIMULATED where that is true.
        snapshots: up to three frames by phase, left to right.
        answers: every answered frame.
        marks: events by name and frame number.
    """
    matplotlib.use("Agg")
    panels = list(snapshots.items())[:_MAX_PANELS]
    figure = Figure(figsize=(4.2 * max(len(panels), 2), 7.4), layout="constrained")
    figure.suptitle(title, fontsize=12)
    grid = figure.add_gridspec(2, max(len(panels), 1), height_ratios=(1.55, 1))
    for column, (name, snapshot) in enumerate(panels):
        _draw_frame(figure.add_subplot(grid[0, column]), name, snapshot)
    _draw_course(figure.add_subplot(grid[1, :]), answers, marks)
    figure.savefig(path, dpi=110)
