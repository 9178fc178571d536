"""A search for the best place to measure, in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ._card import card
from ._optional import require

__all__ = ["plot_search", "search_log_card"]


class _Record(Protocol):
    @property
    def number(self) -> int: ...
    @property
    def y_px(self) -> int: ...
    @property
    def x_px(self) -> int: ...
    @property
    def chosen_by(self) -> str: ...
    @property
    def value(self) -> float: ...


class _Log(Protocol):
    @property
    def records(self) -> Sequence[_Record]: ...


def search_log_card(log: _Log) -> str:
    """An acquisition log as HTML."""
    if not log.records:
        return card("search", subtitle="nothing measured yet")
    best = max(log.records, key=lambda record: record.value)
    rows = [
        ("measurements", str(len(log.records))),
        ("best", f"{best.value:.4g} at y {best.y_px} px, x {best.x_px} px, measurement {best.number}"),
        ("chosen by", ", ".join(dict.fromkeys(record.chosen_by for record in log.records))),
    ]
    return card("search", rows)


def plot_search(log: _Log, image: Any, *, quantity: str = "value") -> Any:
    """Draw where a search measured, on the image (ny, nx) it chose by, and what it found in which order.

    Args:
        log: the measurements, for example `SurveyResult.log`.
        image: array (ny, nx).
        quantity: name of what was measured, with its unit.

    Returns:
        The matplotlib figure.

    Raises:
        UnsupportedError: matplotlib is not installed.
    """
    pyplot = require("matplotlib.pyplot", "notebook")
    records = list(log.records)
    values = [record.value for record in records]
    figure, (places, course) = pyplot.subplots(1, 2, figsize=(10, 4.5))
    places.imshow(image, cmap="gray")
    dots = places.scatter(
        [record.x_px for record in records],
        [record.y_px for record in records],
        c=values,
        cmap="viridis",
        edgecolors="white",
    )
    places.set_xlabel("x (px)")
    places.set_ylabel("y (px)")
    figure.colorbar(dots, ax=places, label=quantity)
    course.plot(range(len(values)), values, "o", label="measured")
    course.plot(
        range(len(values)), [max(values[: number + 1]) for number in range(len(values))], label="best so far"
    )
    course.set_xlabel("measurement")
    course.set_ylabel(quantity)
    course.legend()
    figure.tight_layout()
    return figure
