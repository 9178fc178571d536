"""Starting a flow: a form of its parameters, what it would do and take, and the button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui
from pydantic import ValidationError

from eucentric_core import Role
from eucentric_flows import RunView
from eucentric_flows.catalogue import FLOWS
from eucentric_flows.desk import FILLED_IN, estimate_flow, estimate_lines, flow_named, order_flow, request_of

from ...forms import ModelForm, fields_of, problems_by_field
from ...site import Visit, call, errors_shown, heading, may, require_role

__all__ = ["StartCard"]

_ORDER_TIMEOUT_S = 60.0


class StartCard:
    """The form changes with the flow; the estimate with every word that is typed.

    Args:
        visit: whose page it is.
        runs: gives what the record knows, for the estimate.
        on_started: told the trigger id of what was ordered.
        flow: to begin with.
        values: plain values to begin with.
    """

    def __init__(
        self,
        visit: Visit,
        *,
        runs: Callable[[], tuple[RunView, ...]],
        on_started: Callable[[str], object],
        flow: str,
        values: dict[str, str],
    ) -> None:
        self._visit = visit
        self._runs = runs
        self._on_started = on_started
        self._request: Any = None
        with ui.element("section").classes("card"):
            heading("Start a flow")
            choices = {name: f"{name}: {spec.summary}" for name, spec in FLOWS.items()}
            self._flow = ui.select(choices, value=flow, label="Flow", on_change=lambda: self._build({}))
            self._flow.props("outlined dense options-dense").classes("field").mark("flow")
            self._place = ui.element("div").style("width:100%").mark("form")
            self._wrong = ui.label().classes("problem").props("role=alert")
            with ui.element("div").classes("estimate").props("role=status").mark("estimate"):
                self._told = ui.label().style("white-space:pre-line")
            with ui.element("div").classes("line spread"):
                self._start = ui.button("Start", on_click=self._do_start).props("no-caps unelevated")
                self._start.mark("start")
                if not may(visit, Role.SCIENTIST):
                    ui.label("Starting needs the role scientist.").classes("muted")
        self._build(values)

    def _build(self, values: dict[str, str]) -> None:
        spec = flow_named(str(self._flow.value))
        hidden = ("trigger_id", *FILLED_IN)
        given: dict[str, Any] = dict(values)
        if "model" in spec.request.model_fields:
            given.setdefault("model", self._visit.settings.edge.model)
        self._place.clear()
        with self._place:
            fields = fields_of(spec.request, hidden=hidden)
            self._form = ModelForm(fields, on_change=self._check, values=given)
            if not fields:
                ui.label("This flow takes no parameters.").classes("muted")
        self._check(quiet=True)

    def _check(self, *, quiet: bool = False) -> None:
        """Read the form; say what is wrong, or what would be done."""
        spec = flow_named(str(self._flow.value))
        given, problems = self._form.values()
        self._request = None
        if not problems:
            try:
                self._request = request_of(spec, given)
            except ValidationError as error:
                problems = problems_by_field(error, self._form.names)
        known = {name: said for name, said in problems.items() if name in self._form.names}
        rest = [said for name, said in problems.items() if name not in self._form.names]
        # What is merely not filled in yet is no fault before anything was typed.
        self._form.show_problems({} if quiet else known)
        self._wrong.set_text("" if quiet else "; ".join(rest))
        self._start.set_enabled(self._request is not None)
        if self._request is None:
            missing = ", ".join(f"{name or 'the whole'}: {said}" for name, said in problems.items())
            self._told.set_text(f"Nothing can be started yet. {missing}")
            return
        estimate = estimate_flow(self._visit.settings, spec, self._request, self._runs())
        self._told.set_text("\n".join(estimate_lines(estimate)))

    async def _do_start(self) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            spec = flow_named(str(self._flow.value))
            given, _ = self._form.values()
            request = request_of(spec, given, by=person.name)
            self._start.props("loading")
            try:
                trigger_id = await call(
                    lambda: order_flow(self._visit.settings, spec, request),
                    timeout_s=_ORDER_TIMEOUT_S,
                    doing="Starting the flow",
                )
            finally:
                self._start.props(remove="loading")
            ui.notify(f"{spec.name} is ordered.", type="positive")
            self._on_started(trigger_id)
