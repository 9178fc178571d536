"""What was in production where, and who moved what and why."""

from __future__ import annotations

from nicegui import ui

from eucentric_core import utc_now
from eucentric_model_registry import service_periods, tell_history

from ...site import empty_panel, heading
from ...widgets import data_table, moment
from ._facts import ModelFacts
from ._periods import periods_svg

__all__ = ["HistoryCard"]

_SHOWN = 60


class HistoryCard:
    """`show` when something changed."""

    def __init__(self) -> None:
        with ui.element("section").classes("card"):
            heading("In production")
            self._periods = ui.element("div").style("width:100%; margin-top:8px").mark("production")
        with ui.element("section").classes("card"):
            heading("History")
            self._lines = ui.element("div").style("width:100%").mark("history")

    def show(self, facts: ModelFacts) -> None:
        """Show the history of this model, the newest first."""
        periods = service_periods(facts.deployments)
        self._periods.clear()
        with self._periods:
            if periods:
                ui.html(periods_svg(periods, utc_now()), sanitize=False)
            else:
                ui.label("No edge has said yet that it serves this model.").classes("muted")
        told = tell_history(facts.promotions, facts.deployments)
        self._lines.clear()
        with self._lines:
            if not told:
                empty_panel(
                    "Nothing was ever promoted.", "Promote a version above.", icon="history_toggle_off"
                )
                return
            data_table(
                f"History of {facts.name}, newest first",
                ["when (UTC)", "what", "version", "who", "reason"],
                [
                    [
                        moment(line.at_utc),
                        line.what,
                        f"v{line.version}" if line.before is None else f"v{line.before} → v{line.version}",
                        line.who,
                        line.reason,
                    ]
                    for line in reversed(told[-_SHOWN:])
                ],
            )
            if len(told) > _SHOWN:
                ui.label(f"{len(told) - _SHOWN} older lines: `eucentric models history`.").classes("muted")
