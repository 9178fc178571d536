"""What the flows do: each run with its stages, how long they took, and what a run is waiting for."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from nicegui import ui

from eucentric_core import utc_now
from eucentric_flows import RunView, StageView

from ..._hub import LiveHub
from ..._words import age_in_words
from ...site import heading

__all__ = ["RunsPanel", "run_in_words", "stage_tone", "stage_words"]

_SILENT_S = 10.0
"""A running run's heartbeat older than this is worth a word; it beats every 3 s."""

_Tone = Literal["done", "active", "failed"]


def run_in_words(run: RunView) -> str:
    """How a run stands, and why it waits if it does."""
    if run.state == "lost":
        silent = age_in_words(run.heartbeat_age_s)
        return f"lost: not heard of for {silent}; `eucentric run resume` goes on with it"
    if run.state != "running":
        version = f" v{run.version}" if run.version is not None else ""
        return f"{run.state}{version}: {run.reason}" if run.reason else f"{run.state}{version}"
    doing = next((stage for stage in reversed(run.stages) if stage.ended_utc is None), None)
    words = "running" if doing is None else f"{doing.name}: {doing.message or 'at work'}"
    if run.heartbeat_age_s > _SILENT_S:
        words += f" (last heartbeat {age_in_words(run.heartbeat_age_s)} ago)"
    return words


def stage_tone(stage: StageView) -> _Tone:
    """How a stage is coloured."""
    if stage.error is not None:
        return "failed"
    return "active" if stage.ended_utc is None else "done"


def stage_words(stage: StageView, *, now_utc: datetime) -> str:
    """A stage's name and how long it took, or has been taking."""
    if stage.duration_s is not None:
        return f"{stage.name} · {age_in_words(stage.duration_s)}"
    so_far_s = max(0.0, (now_utc - stage.started_utc).total_seconds())
    return f"{stage.name} · {age_in_words(so_far_s)} so far"


class RunsPanel:
    """The list of runs. `refresh` once a second."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._shown: object = None
        links = hub.settings.hub
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("Runs")
                with ui.element("div").classes("line"):
                    ui.link("Prefect", links.prefect_api_url.removesuffix("/api"), new_tab=True)
                    ui.link("MLflow", links.mlflow_url, new_tab=True)
            self._list = ui.element("div").style("width:100%; margin-top:8px").mark("runs")

    def refresh(self) -> None:
        """Show the runs of this moment."""
        reading = self._hub.runs
        now_utc = utc_now()
        facts = (
            reading.error.what if reading.error else None,
            tuple((run.trigger_id, run_in_words(run), _steps(run, now_utc)) for run in reading.value or ()),
        )
        if facts == self._shown:
            return
        self._shown = facts
        self._list.clear()
        with self._list:
            if reading.error is not None:
                ui.label(str(reading.error)).classes("notice warning")
            elif not reading.value:
                ui.label(
                    "No run yet. A policy starts one when drift is detected; until then the model stays."
                )
            for run in reading.value or ():
                _show_run(run, now_utc)


def _steps(run: RunView, now_utc: datetime) -> tuple[str, ...]:
    return tuple(stage_words(stage, now_utc=now_utc) for stage in run.stages)


def _show_run(run: RunView, now_utc: datetime) -> None:
    with ui.element("div").classes("run"):
        with ui.element("div").classes("line spread"):
            by = f"policy {run.policy}" if run.triggered_by == "policy" else "started by hand"
            ui.label(f"{run.kind} {run.model}").classes("font-semibold")
            ui.label(f"{by} · {run.started_utc:%Y-%m-%d %H:%M:%S} UTC").classes("muted")
        ui.label(run_in_words(run))
        with ui.element("div").classes("steps"):
            for stage in run.stages:
                words = ui.label(stage_words(stage, now_utc=now_utc)).classes(f"step {stage_tone(stage)}")
                told = stage.error.what if stage.error else stage.message
                if told:
                    words.tooltip(told)
