"""How drift, uncertainty and F1 went over the last few hundred frames, with the swaps of the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from nicegui import ui

from ..._hub import LiveHub
from ..._live import CoursePoint
from ...site import heading

__all__ = ["CoursePanel", "course_options", "model_swaps"]

_TEXT, _FAINT, _LINE = "#dbe2ea", "#93a0ae", "#262d37"
_TITLES = {"Drift score": "Drift score (1 is the edge of what the model knows)"}
_Value = Callable[[CoursePoint], float | None]


def model_swaps(points: Sequence[CoursePoint]) -> tuple[tuple[float, str], ...]:
    """When (ms since 1970, UTC) another model version first answered, and the change as `v1 → v2`."""
    return tuple(
        (after.acquired_utc.timestamp() * 1e3, f"v{before.model_version} → v{after.model_version}")
        for before, after in pairwise(points)
        if before.model_version != after.model_version
    )


def course_options(points: Sequence[CoursePoint]) -> dict[str, Any]:
    """Options of an ECharts chart: one plot above another, on one time axis."""
    plots: list[tuple[str, str, _Value, dict[str, Any]]] = [
        ("Drift score", "#e69f00", lambda point: point.drift_score, {"min": 0}),
        ("Mean uncertainty", "#cc79a7", lambda point: point.mean_uncertainty, {"min": 0}),
    ]
    if any(point.f1 is not None for point in points):
        plots.insert(0, ("F1", "#56b4e9", lambda point: point.f1, {"min": 0, "max": 1}))
    height = 100 / len(plots)
    swaps = [
        {"xAxis": time_ms, "label": {"formatter": label if not row else ""}}
        for row in range(len(plots))
        for time_ms, label in model_swaps(points)
    ]
    per_plot = len(swaps) // len(plots)
    return {
        "animation": False,
        "textStyle": {"color": _TEXT, "fontFamily": "system-ui, sans-serif"},
        "tooltip": {"trigger": "axis", "backgroundColor": "#12161c", "textStyle": {"color": _TEXT}},
        "axisPointer": {"link": [{"xAxisIndex": "all"}]},
        "title": [
            {
                "text": _TITLES.get(name, name),
                "left": 4,
                "top": f"{row * height:.1f}%",
                "textStyle": {"color": colour, "fontSize": 12},
            }
            for row, (name, colour, _, _) in enumerate(plots)
        ],
        "grid": [
            {"left": 44, "right": 14, "top": f"{row * height + 9:.1f}%", "height": f"{height - 14:.1f}%"}
            for row in range(len(plots))
        ],
        "xAxis": [
            {
                "type": "time",
                "gridIndex": row,
                "splitNumber": 4,
                "axisLine": {"lineStyle": {"color": _LINE}},
                "axisLabel": {"show": row == len(plots) - 1, "color": _FAINT, "hideOverlap": True},
            }
            for row in range(len(plots))
        ],
        "yAxis": [
            {
                "gridIndex": row,
                "splitNumber": 2,
                "axisLabel": {"color": _FAINT},
                "splitLine": {"lineStyle": {"color": _LINE}},
                **bounds,
            }
            for row, (_, _, _, bounds) in enumerate(plots)
        ],
        "series": [
            {
                "name": name,
                "type": "line",
                "xAxisIndex": row,
                "yAxisIndex": row,
                "showSymbol": False,
                "lineStyle": {"width": 1.6, "color": colour},
                "itemStyle": {"color": colour},
                "data": [[point.acquired_utc.timestamp() * 1e3, _rounded(value(point))] for point in points],
                "markLine": {
                    "silent": True,
                    "symbol": "none",
                    "lineStyle": {"color": "#ffffff", "type": "dashed", "opacity": 0.7},
                    "label": {"color": "#ffffff", "position": "insideEndTop", "rotate": 0},
                    "data": [*swaps[row * per_plot : (row + 1) * per_plot], *_limits(name)],
                },
            }
            for row, (name, colour, value, _) in enumerate(plots)
        ],
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _limits(name: str) -> list[dict[str, Any]]:
    if name != "Drift score":
        return []
    return [{"yAxis": 1, "lineStyle": {"color": "#93a0ae", "type": "dotted"}, "label": {"show": False}}]


class CoursePanel:
    """The chart. `refresh` once a second.

    A browser loads what draws charts with the first one to draw: it is as large as all else together.
    """

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._last: CoursePoint | None = None
        with ui.element("section").classes("card"):
            heading("Course of the last frames")
            self._explanation = ui.label("Nothing to show until the edge answers frames.").classes("muted")
            self._place = ui.element("div").style("width:100%")
        self._chart: ui.echart | None = None

    def refresh(self) -> None:
        """Draw the course again if there is a new answer."""
        points = self._hub.course
        if not points or points[-1] == self._last:
            return
        self._last = points[-1]
        self._explanation.set_text(_explanation(points))
        if self._chart is None:
            with self._place:
                chart = ui.echart(course_options(points)).style("height:360px; width:100%; margin-top:8px")
                self._chart = chart.mark("course")
            return
        self._chart.options.clear()
        self._chart.options.update(course_options(points))
        self._chart.update()


def _explanation(points: Sequence[CoursePoint]) -> str:
    truth = (
        "F1 against the simulated truth."
        if any(point.f1 is not None for point in points)
        else "No F1: there is no ground truth of these classes."
    )
    swaps = len(model_swaps(points))
    models = {0: "no swap", 1: "1 swap"}.get(swaps, f"{swaps} swaps")
    return f"{len(points)} frames, {models} of the model (dashed). {truth}"
