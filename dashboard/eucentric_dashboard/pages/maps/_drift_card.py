"""How unlike its support set or its training a series of frames is, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nicegui import ui

from ...site import heading

__all__ = ["DriftCard", "drift_options"]

_TEXT, _FAINT, _LINE = "#dbe2ea", "#93a0ae", "#262d37"


def drift_options(points: Sequence[tuple[int, float]], *, limit: float | None) -> dict[str, Any]:
    """Options of an ECharts chart: a figure by the number of the frame.

    Args:
        points: sequence number and figure.
        limit: drawn as a dotted line; None for none.
    """
    mark = [] if limit is None else [{"yAxis": limit, "label": {"show": False}}]
    return {
        "animation": False,
        "textStyle": {"color": _TEXT, "fontFamily": "system-ui, sans-serif"},
        "tooltip": {"trigger": "axis", "backgroundColor": "#12161c", "textStyle": {"color": _TEXT}},
        "grid": {"left": 48, "right": 14, "top": 14, "bottom": 34},
        "xAxis": {
            "type": "value",
            "min": "dataMin",
            "max": "dataMax",
            "name": "frame",
            "nameLocation": "middle",
            "nameGap": 22,
            "axisLabel": {"color": _FAINT},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "axisLabel": {"color": _FAINT},
            "splitLine": {"lineStyle": {"color": _LINE}},
        },
        "series": [
            {
                "type": "line",
                "showSymbol": len(points) <= 40,
                "itemStyle": {"color": "#e69f00"},
                "data": [[number, round(value, 4)] for number, value in points],
                "markLine": {
                    "silent": True,
                    "symbol": "none",
                    "lineStyle": {"color": _FAINT, "type": "dotted"},
                    "data": mark,
                },
            }
        ],
    }


class DriftCard:
    """The chart, and a sentence about it."""

    def __init__(self) -> None:
        self._shown: object = None
        with ui.element("section").classes("card maps-card"):
            heading("Drift over time")
            self.about = ui.label("Nothing to show yet.").classes("muted").props("role=status")
            self.actions = ui.element("div").classes("line")
            self._chart = ui.echart(drift_options((), limit=None)).style("height:200px; width:100%")
        self._chart.set_visibility(False)

    def show(self, points: Sequence[tuple[int, float]], about: str, *, limit: float | None = None) -> None:
        """Show a course."""
        shown = (tuple(points), about, limit)
        if shown == self._shown:
            return
        self._shown = shown
        self.about.set_text(about)
        self._chart.set_visibility(bool(points))
        self._chart.options.clear()
        self._chart.options.update(drift_options(points, limit=limit))
        self._chart.update()
