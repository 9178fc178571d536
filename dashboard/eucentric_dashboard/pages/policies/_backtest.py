"""What a policy would have done with the events of the last days, as a chart and a sentence."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from eucentric_core import Settings
from eucentric_flows.desk import back_test_policy, back_test_sentence, usual_run_s
from eucentric_flows.policy import Backtest, Policy

from ...site import call
from ...widgets import data_table, moment

__all__ = ["BacktestPanel", "chart_options"]

_DAYS = {1: "1 day", 7: "7 days", 30: "30 days"}
_ROWS = ("fired", "awaiting", "deferred", "held", "rejected", "expired", "not_met")
_COLOURS = {
    "fired": "#3fb984", "awaiting": "#e8b64c", "deferred": "#e8b64c", "held": "#ff8a7a",
    "rejected": "#ff8a7a", "expired": "#ff8a7a", "not_met": "#5b6876",
}  # fmt: skip
_MOST_POINTS = 3000
_LISTED = 12


class BacktestPanel:
    """Empty until `run`."""

    def __init__(self) -> None:
        self._days = ui.toggle(_DAYS, value=7).props("dense no-caps unelevated").mark("days")
        self._place = ui.element("div").style("width:100%").mark("past")
        self._days.set_visibility(False)
        self._asked: tuple[Settings, Policy] | None = None
        self._days.on_value_change(self._again)

    def clear(self) -> None:
        """The policy is another one: what was shown holds no more."""
        self._place.clear()
        self._days.set_visibility(False)
        self._asked = None

    async def run(self, settings: Settings, policy: Policy) -> None:
        """Replay and show.

        Raises:
            ServiceUnavailableError: it takes too long.
        """
        self._asked = (settings, policy)
        self._days.set_visibility(True)
        days = float(self._days.value or 7)
        run_s = await call(lambda: usual_run_s(settings, policy.model), doing="Reading the runs")
        outcome = await call(
            lambda: back_test_policy(settings, policy, days=days, run_s=run_s),
            timeout_s=60,
            doing="The back-test",
        )
        self._place.clear()
        with self._place:
            ui.label(back_test_sentence(outcome, run_s)).classes("verdict")
            if not outcome.decisions:
                ui.label("No recorded event concerns this policy in that time.").classes("muted")
                return
            ui.echart(chart_options(outcome)).classes("past-chart").props(
                f'role=img aria-label="Decisions of {outcome.policy} over the last {days:g} days"'
            )
            told = [one for one in outcome.decisions if one.status != "not_met"][-_LISTED:]
            data_table(
                "The last decisions of the back-test",
                ["time (UTC)", "decision", "event", "why"],
                [
                    [moment(one.at_utc), one.status.replace("_", " "), one.event_kind or "clock", one.reason]
                    for one in reversed(told)
                ],
            )

    async def _again(self) -> None:
        if self._asked is not None:
            await self.run(*self._asked)


def chart_options(outcome: Backtest) -> dict[str, Any]:
    """One point a decision, in the row of what was decided; its reason shows when pointed at. Pure."""
    found = [row for row in _ROWS if row in outcome.counts]
    points: dict[str, list[dict[str, Any]]] = {row: [] for row in found}
    for one in outcome.decisions[-_MOST_POINTS:]:
        at_ms = one.at_utc.timestamp() * 1000
        points[one.status].append(
            {"value": [at_ms, one.status.replace("_", " ")], "name": f"{moment(one.at_utc)} {one.reason}"}
        )
    return {
        "animation": False,
        "grid": {"left": 76, "right": 16, "top": 10, "bottom": 26},
        "textStyle": {"color": "#93a0ae"},
        "tooltip": {"trigger": "item", "formatter": "{b}", "confine": True},
        "xAxis": {
            "type": "time",
            "min": outcome.begin_utc.timestamp() * 1000,
            "max": outcome.end_utc.timestamp() * 1000,
            "axisLabel": {"color": "#93a0ae"},
            "splitLine": {"show": False},
        },
        "yAxis": {
            "type": "category",
            "data": [row.replace("_", " ") for row in reversed(found)],
            "axisLabel": {"color": "#dbe2ea"},
        },
        "series": [
            {
                "type": "scatter",
                "symbolSize": 9,
                "itemStyle": {"color": _COLOURS[row], "opacity": 0.85},
                "data": points[row],
            }
            for row in found
        ],
    }
