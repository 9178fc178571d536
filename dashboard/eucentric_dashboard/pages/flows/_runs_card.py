"""The list of runs, with what each does or waits for at this moment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from eucentric_core import utc_now
from eucentric_flows import RunView

from ...site import empty_panel, heading
from ...widgets import chip, data_table, moment
from ._words import heartbeat_words, now_words, run_tone, took_words

__all__ = ["RunsCard"]

_SHOWN = 30


class RunsCard:
    """`show` every second: rows are built anew only when runs come or go; else their words change.

    Args:
        on_open: told the trigger id of the run to look at.
    """

    def __init__(self, *, on_open: Callable[[str], object]) -> None:
        self._on_open = on_open
        self._rows: tuple[tuple[str, str], ...] | None = None
        self._words: dict[str, tuple[ui.label, ui.label, ui.label]] = {}
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("Runs")
                self._which = ui.toggle(["all", "under way"], value="all").props("dense no-caps unelevated")
            self._place = ui.element("div").style("width:100%").mark("runs")

    def show(self, runs: Sequence[RunView]) -> None:
        """Show these runs, newest first."""
        if self._which.value == "under way":
            runs = [run for run in runs if not run.over]
        shown = runs[:_SHOWN]
        rows = tuple((run.trigger_id, f"{run.state} {run.attempt}") for run in shown)
        if rows != self._rows:
            self._rows = rows
            self._build(shown, len(runs))
        now = utc_now()
        for run in shown:
            doing, beat, took = self._words[run.trigger_id]
            doing.set_text(now_words(run))
            beat.set_text(heartbeat_words(run))
            took.set_text(took_words(run, now))

    def _build(self, runs: Sequence[RunView], count: int) -> None:
        self._place.clear()
        self._words = {}
        with self._place:
            if not runs:
                empty_panel(
                    "No run here yet.",
                    "Start a flow on the left, or let a policy do so; both are listed here.",
                    icon="playlist_play",
                )
                return
            data_table(
                "Runs, newest first",
                ["flow", "about", "asked by", "state", "now, or why", "started (UTC)", "took", ""],
                [self._cells(run) for run in runs],
            )
            if count > len(runs):
                ui.label(f"{count - len(runs)} older runs: `eucentric run ls`.").classes("muted")

    def _cells(self, run: RunView) -> list[str | Callable[[], object]]:
        return [
            run.kind,
            run.model,
            run.asked_by,
            partial(_state, run),
            partial(self._now, run),
            partial(_when, run),
            partial(self._took, run),
            partial(self._open, run),
        ]

    def _now(self, run: RunView) -> None:
        doing, beat = ui.label().classes("now"), ui.label().classes("muted")
        self._words[run.trigger_id] = (doing, beat, beat)

    def _took(self, run: RunView) -> None:
        doing, beat, _ = self._words[run.trigger_id]
        self._words[run.trigger_id] = (doing, beat, ui.label().classes("when"))

    def _open(self, run: RunView) -> None:
        with ui.element("div").classes("line actions"):
            ui.button("Open", on_click=lambda: self._on_open(run.trigger_id)).props(
                f'flat dense no-caps aria-label="Open run {run.trigger_id}"'
            ).mark(f"open-{run.trigger_id}")


def _state(run: RunView) -> None:
    version = f" v{run.version}" if run.version is not None else ""
    chip(f"{run.state}{version}", run_tone(run))


def _when(run: RunView) -> None:
    ui.label(moment(run.started_utc)).classes("when")
