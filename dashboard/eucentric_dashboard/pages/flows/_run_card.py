"""One run: its stages over time, what it waits for, its logs; cancel it, go on with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape

from nicegui import ui

from eucentric_core import Role, utc_now
from eucentric_flows import RunView
from eucentric_flows.desk import cancel_run, resume_run
from eucentric_flows.runs import state_words

from ...site import Visit, call, errors_shown, may, require_role
from ...site._navigation import address_of
from ...widgets import ask
from ._source import RunSource
from ._time_line import time_line_html
from ._words import heartbeat_words, now_words

__all__ = ["RunCard"]

_RESUMABLE = ("failed", "lost", "cancelled")


class RunCard:
    """Hidden until `open`; `show` every second."""

    def __init__(self, visit: Visit, source: RunSource) -> None:
        self._visit = visit
        self._source = source
        self.trigger_id: str | None = None
        self._run: RunView | None = None
        with ui.element("section").classes("card").mark("run") as self._card:
            with ui.element("div").classes("line spread"):
                self._title = ui.label().props("role=heading aria-level=2").classes("run-title")
                with ui.element("div").classes("line actions"):
                    self._cancel = self._button("Cancel", self._do_cancel)
                    self._again = self._button("Go on", self._do_resume)
                    self._button("Logs", self._show_logs)
                    ui.button("Close", on_click=self.close).props("flat dense no-caps")
            self._state = ui.label().classes("verdict")
            self._beat = ui.label().classes("muted")
            self._line = ui.html("", sanitize=False).style("width:100%").mark("time-line")
            self._links = ui.element("div").classes("line links")
            self._logs = ui.element("div").classes("logs").props("tabindex=0 role=log aria-label=Logs")
        self.close()

    def _button(self, words: str, do: Callable[[], Awaitable[None]]) -> ui.button:
        button = ui.button(words, on_click=do).props("outline dense no-caps").mark(words.lower())
        if not may(self._visit, Role.SCIENTIST):
            button.tooltip("needs the role scientist")
        return button

    def open(self, trigger_id: str) -> None:
        """Look at a run, which may be ordered and not begun."""
        self.trigger_id, self._run = trigger_id, None
        self._logs.clear()
        self._logs.set_visibility(False)
        self._links.clear()
        self._card.set_visibility(True)

    def close(self) -> None:
        """Look at no run."""
        self.trigger_id, self._run = None, None
        self._card.set_visibility(False)

    def show(self, runs: tuple[RunView, ...]) -> None:
        """Show the run as it is among these."""
        if self.trigger_id is None:
            return
        run = next((one for one in runs if one.trigger_id == self.trigger_id), None)
        self._cancel.set_visibility(run is not None and not run.over and run.cancel_utc is None)
        self._again.set_visibility(run is not None and run.state in _RESUMABLE and run.kind != "bootstrap")
        if run is None:
            self._title.set_text(f"Run {self.trigger_id}")
            self._state.set_text(
                "Ordered. It begins when the flow service takes it, usually within a second."
            )
            self._beat.set_text("If it does not begin: is `eucentric flows serve` running?")
            self._line.set_content("")
            return
        if self._run is None or self._run.flow_run_id != run.flow_run_id or self._run.version != run.version:
            self._show_links(run)
        self._run = run
        self._title.set_text(f"{run.kind} of {run.model}")
        self._state.set_text(f"{state_words(run)}: {now_words(run)}")
        beat = heartbeat_words(run)
        facts = (f"asked for by {run.asked_by}", f"attempt {run.attempt}", beat, f"run {run.trigger_id}")
        self._beat.set_text(" · ".join(filter(None, facts)))
        self._line.set_content(time_line_html(run, utc_now()))

    def _show_links(self, run: RunView) -> None:
        self._links.clear()
        with self._links:
            if run.flow_run_id is not None:
                prefect = self._visit.settings.hub.prefect_api_url.removesuffix("/api")
                ui.link("This run in Prefect", f"{prefect}/runs/flow-run/{run.flow_run_id}", new_tab=True)
            if run.version is not None:
                ui.link(f"Version {run.version} among the models", address_of("/models", self._visit))
            ui.label(f"trace {run.trace_id}").classes("muted")

    async def _do_cancel(self) -> None:
        with errors_shown():
            run = self._run
            if run is None:
                return
            require_role(self._visit, Role.SCIENTIST)
            sure = await ask(
                f"Cancel {run.kind} of {run.model}?",
                "Its jobs leave the queue; if it acquires, the scan is stopped, the beam blanked and the "
                "lease given back. What it has finished is kept, and Go on continues from there.",
                do="Cancel the run",
                dangerous=True,
            )
            if sure is None:
                return
            person = require_role(self._visit, Role.SCIENTIST)
            await call(
                lambda: cancel_run(self._visit.settings, run.trigger_id, person.name), doing="Cancelling"
            )
            self._source.runs.forget()
            ui.notify("It has been told to stop.", type="positive")

    async def _do_resume(self) -> None:
        with errors_shown():
            run = self._run
            if run is None:
                return
            require_role(self._visit, Role.SCIENTIST)
            await call(
                lambda: resume_run(self._visit.settings, run.trigger_id), timeout_s=30, doing="Going on"
            )
            self._source.runs.forget()
            ui.notify("It goes on.", type="positive")

    async def _show_logs(self) -> None:
        with errors_shown():
            run = self._run
            if run is None:
                return
            lines = await call(lambda: self._source.logs(run), timeout_s=30, doing="Reading the logs")
            self._logs.clear()
            self._logs.set_visibility(True)
            with self._logs:
                if not lines:
                    ui.label("No service of this machine has written about this run.").classes("muted")
                ui.html("".join(map(_log_line, lines)), sanitize=False)
            ui.run_javascript(f"const e = getElement({self._logs.id}); e.scrollTop = e.scrollHeight")


def _log_line(line: dict[str, object]) -> str:
    time = escape(str(line.get("time", ""))[11:23])
    level = escape(str(line.get("level", "")).lower())
    service, message = escape(str(line.get("service", ""))), escape(str(line.get("message", ""))[:2000])
    return f'<div class="log {level}"><span>{time}</span> <b>{service}</b> {message}</div>'
