"""Firings that wait for a person, and afterwards why each thing happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from nicegui import ui

from eucentric_flows.engine import DecisionView

from ...site import empty_panel, heading
from ...widgets import Tone, chip, data_table, moment

__all__ = ["ApprovalsCard", "DecisionsCard"]

_TONES: dict[str, Tone] = {
    "fired": "done", "awaiting": "waiting", "deferred": "waiting", "held": "failed", "expired": "failed",
    "rejected": "failed",
}  # fmt: skip

Answer = Callable[[DecisionView, bool], Awaitable[None]]


class ApprovalsCard:
    """Not there while nobody is waited for. `show` when something changed."""

    def __init__(self, on_answer: Answer) -> None:
        self._on_answer = on_answer
        with ui.element("section").classes("card asking") as self._card:
            heading("Waiting for a person")
            self._place = ui.element("div").style("width:100%").mark("approvals")

    def show(self, waiting: tuple[DecisionView, ...]) -> None:
        """Show what waits."""
        self._card.set_visibility(bool(waiting))
        self._place.clear()
        with self._place:
            for one in waiting:
                with ui.element("div").classes("line spread policy"):
                    with ui.element("div"):
                        ui.label(f"{one.policy}: {one.reason}").classes("policy-name")
                        until = "" if one.until_utc is None else f", until {moment(one.until_utc)} UTC"
                        event = one.event_kind or "clock"
                        ui.label(f"{event} {one.occurrence}{until}").classes("muted")
                    with ui.element("div").classes("line actions"):
                        for words, approved in (("Approve", True), ("Reject", False)):
                            ui.button(words, on_click=partial(self._on_answer, one, approved)).props(
                                f'outline dense no-caps aria-label="{words} {one.policy}"'
                            ).mark(f"{words.lower()}-{one.occurrence}")


class DecisionsCard:
    """`show` when something changed."""

    def __init__(self) -> None:
        with ui.element("section").classes("card"):
            heading("What was decided, and why")
            self._place = ui.element("div").style("width:100%").mark("decisions")

    def show(self, decisions: tuple[DecisionView, ...]) -> None:
        """Show these decisions, newest first, each with every step on its way."""
        self._place.clear()
        with self._place:
            if not decisions:
                empty_panel(
                    "Nothing was decided yet.",
                    "Once events arrive, each decision is listed here with its reason.",
                    icon="history",
                )
                return
            data_table(
                "Decisions, newest first",
                ["time (UTC)", "policy", "decision", "event", "why"],
                [
                    [
                        moment(one.decided_utc),
                        one.policy,
                        partial(_status, one),
                        one.event_kind or "clock",
                        partial(_why, one),
                    ]
                    for one in decisions
                ],
            )


def _status(one: DecisionView) -> None:
    chip(one.status.replace("_", " "), _TONES.get(one.status, ""))


def _why(one: DecisionView) -> None:
    ui.label(one.reason)
    for step in one.steps[:-1]:
        ui.label(f"{moment(step.at_utc)} {step.status.replace('_', ' ')}: {step.reason}").classes("muted")
    if one.trigger_id is not None:
        ui.link(f"run {one.trigger_id}", f"/flows?run={one.trigger_id}").classes("muted")
