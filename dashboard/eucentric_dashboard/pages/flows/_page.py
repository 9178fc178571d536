"""The flows page: start any flow, see every run, cancel it or go on with it."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from eucentric_flows import RunView
from eucentric_flows.catalogue import FLOWS

from ...site import Visit, heading
from ...widgets import ReadingNotice, add_style, require_extra
from ._run_card import RunCard
from ._runs_card import RunsCard
from ._source import run_source_of
from ._start_card import StartCard

__all__ = ["build_flows"]

_PERIOD_S = 1.0


def build_flows(visit: Visit) -> None:
    """Build the page for one viewer. `?flow=NAME&session=S` fills the form in, `?run=ID` opens a run.

    Raises:
        ConfigurationError: the flows' room is not installed here.
    """
    require_extra("hub", "Flows")
    add_style(Path(__file__).with_name("style.css"))
    _FlowsPage(visit)


class _FlowsPage:
    def __init__(self, visit: Visit) -> None:
        self._source = run_source_of(visit.settings)
        asked = dict(ui.context.client.request.query_params)
        flow = asked.pop("flow", "retrain")
        run = asked.pop("run", None)
        asked.pop("instrument", None)
        with ui.element("div").classes("line spread"):
            heading("Flows", level=1)
            with ui.element("div").classes("line"):
                prefect = visit.settings.hub.prefect_api_url.removesuffix("/api")
                ui.link("Prefect", prefect, new_tab=True)
        self._notice = ReadingNotice("The record of runs", back="see the message below.")
        with ui.element("div").classes("columns flows"):
            with ui.element("div").classes("stack"):
                StartCard(
                    visit,
                    runs=self._runs,
                    on_started=self._open,
                    flow=flow if flow in FLOWS else "retrain",
                    values=asked,
                )
            with ui.element("div").classes("stack"):
                self._run = RunCard(visit, self._source)
                self._list = RunsCard(on_open=self._open)
        if run is not None:
            self._run.open(run)
        self._refresh()
        ui.timer(_PERIOD_S, self._refresh)

    def _runs(self) -> tuple[RunView, ...]:
        return self._source.runs.look().value or ()

    def _open(self, trigger_id: str) -> None:
        self._run.open(trigger_id)
        self._refresh()

    def _refresh(self) -> None:
        reading = self._source.runs.look()
        self._notice.show(reading)
        if reading.value is not None:
            self._list.show(reading.value)
            self._run.show(reading.value)
