"""The policies of a site: on or off and why, who decides, and what each does."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from eucentric_flows.desk import PolicyStanding

from ...site import empty_panel, error_panel, heading
from ...widgets import chip
from ._source import PolicyFacts

__all__ = ["PolicyActions", "PolicyList"]

PolicyActions = dict[str, Callable[[PolicyStanding], Awaitable[None]]]
"""`edit`, `switch` and `fire`, each told the policy."""


class PolicyList:
    """`show` when something changed."""

    def __init__(self, actions: PolicyActions) -> None:
        self._actions = actions
        with ui.element("section").classes("card"):
            heading("Policies")
            self._place = ui.element("div").style("width:100%").mark("policies")

    def show(self, facts: PolicyFacts) -> None:
        """Show these policies."""
        self._place.clear()
        with self._place:
            if facts.bad_file is not None:
                error_panel(facts.bad_file)
            elif not facts.standings:
                empty_panel(
                    "No policy is in use: nothing acts by itself.",
                    "Write one on the right. It is tried on recorded events before it is switched on.",
                    icon="rule",
                )
            for standing in facts.standings:
                self._row(standing)

    def _row(self, standing: PolicyStanding) -> None:
        policy, on = standing.policy, standing.why_off is None
        with ui.element("div").classes("policy").mark(f"policy-{policy.name}"):
            with ui.element("div").classes("line spread"):
                with ui.element("div").classes("line"):
                    ui.label(policy.name).classes("policy-name")
                    chip("on" if on else "off", "done" if on else "waiting")
                    decides = "Prefect decides" if standing.why_engine is None else "the engine decides"
                    chip(decides, tip="" if standing.why_engine is None else f"because {standing.why_engine}")
                with ui.element("div").classes("line actions"):
                    self._button("Edit", "edit", standing)
                    if "policy.requested" in policy.trigger.hears:
                        self._button("Fire now", "fire", standing)
                    self._button("Disable" if on else "Enable", "switch", standing)
            ui.label(standing.explanation).classes("told-sentence")
            if standing.why_off is not None:
                ui.label(f"Off: {standing.why_off}.").classes("muted")

    def _button(self, words: str, action: str, standing: PolicyStanding) -> None:
        button = ui.button(words, on_click=lambda: self._actions[action](standing))
        button.props(f'flat dense no-caps aria-label="{words} {standing.policy.name}"')
        button.mark(f"{action}-{standing.policy.name}")
