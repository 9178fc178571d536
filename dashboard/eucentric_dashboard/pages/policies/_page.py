"""The policies page: what acts by itself, writing it, switching it, and what it decided."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from eucentric_core import Role
from eucentric_flows.desk import (
    PolicyStanding,
    answer_firing,
    fire_policy,
    pause_policies,
    resume_policies,
    switch_policy,
)
from eucentric_flows.engine import DecisionView

from ...site import Visit, call, errors_shown, heading, require_role
from ...widgets import ReadingNotice, add_style, ask, require_extra
from ._decisions_card import ApprovalsCard, DecisionsCard
from ._editor import PolicyEditor
from ._list_card import PolicyList
from ._source import PolicyFacts, policy_reading_of

__all__ = ["build_policies"]

_PERIOD_S = 1.0


def build_policies(visit: Visit) -> None:
    """Build the page for one viewer.

    Raises:
        ConfigurationError: the policies' room is not installed here.
    """
    require_extra("hub", "Policies")
    add_style(Path(__file__).with_name("style.css"))
    _PoliciesPage(visit)


class _PoliciesPage:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._reading = policy_reading_of(visit.settings)
        self._shown: PolicyFacts | None = None
        with ui.element("div").classes("stack").style("width:100%") as self._place:
            with ui.element("div").classes("line spread"):
                heading("Policies", level=1)
                self._pause = ui.button("Pause all", on_click=self._pause_or_resume)
                self._pause.props("outline no-caps").mark("pause")
            self._paused = ui.label().classes("notice warning").props("role=status").mark("paused")
            self._notice = ReadingNotice("The policies' store", back="see the message below.")
            self._approvals = ApprovalsCard(self._answer)
            with ui.element("div").classes("columns"):
                with ui.element("div").classes("stack"):
                    self._list = PolicyList({"edit": self._edit, "switch": self._switch, "fire": self._fire})
                    self._decisions = DecisionsCard()
                with ui.element("div").classes("stack"):
                    self._editor = PolicyEditor(visit, on_taken=self._reading.forget)
        self._paused.set_visibility(False)
        self._approvals.show(())
        self._refresh()
        ui.timer(_PERIOD_S, self._refresh)

    def _refresh(self) -> None:
        reading = self._reading.look()
        self._notice.show(reading)
        facts, before = reading.value, self._shown
        if facts is None or _same(facts, before):
            return
        self._shown = facts
        self._paused.set_visibility(facts.pause is not None)
        if facts.pause is not None:
            self._paused.set_text(f"All policies are paused {facts.pause.told}. Runs that have begun go on.")
        self._pause.set_text("Resume all" if facts.pause is not None else "Pause all")
        if before is None or before.waiting != facts.waiting:
            self._approvals.show(facts.waiting)
        if before is None or (before.standings, str(before.bad_file)) != (
            facts.standings,
            str(facts.bad_file),
        ):
            self._list.show(facts)
        if before is None or before.decisions != facts.decisions:
            self._decisions.show(facts.decisions)

    async def _pause_or_resume(self) -> None:
        with self._place, errors_shown():
            require_role(self._visit, Role.OPERATOR)
            settings, paused = self._visit.settings, self._shown is not None and self._shown.pause is not None
            if paused:
                person = require_role(self._visit, Role.OPERATOR)
                await call(lambda: resume_policies(settings, by=person.name), doing="Resuming")
            else:
                reason = await ask(
                    "Pause all policies?",
                    "None acts until somebody resumes them. Events go on being recorded, runs that have "
                    "begun go on.",
                    do="Pause all",
                    reason="Why",
                )
                if reason is None:
                    return
                person = require_role(self._visit, Role.OPERATOR)
                await call(lambda: pause_policies(settings, by=person.name, because=reason), doing="Pausing")
            self._reading.forget()

    async def _edit(self, standing: PolicyStanding) -> None:
        with self._place:
            await self._editor.open(standing.policy.name)

    async def _switch(self, standing: PolicyStanding) -> None:
        with self._place, errors_shown():
            require_role(self._visit, Role.OPERATOR)
            name, on = standing.policy.name, standing.why_off is not None
            reason = await ask(
                f"{'Enable' if on else 'Disable'} {name}?",
                standing.explanation if on else "A run that has begun goes on; nothing new is begun.",
                do="Enable" if on else "Disable",
                reason="Why",
            )
            if reason is None:
                return
            person = require_role(self._visit, Role.OPERATOR)
            await call(
                lambda: switch_policy(self._visit.settings, name, on=on, by=person.name, because=reason),
                doing="Switching the policy",
            )
            self._reading.forget()
            ui.notify(f"Policy {name} is {'on' if on else 'off'}.", type="positive")

    async def _fire(self, standing: PolicyStanding) -> None:
        with self._place, errors_shown():
            require_role(self._visit, Role.SCIENTIST)
            session = await ask(
                f"Fire {standing.policy.name} now?",
                "Its guards hold all the same; what becomes of it is listed below.",
                do="Fire",
                reason="Session to act on",
            )
            if session is None:
                return
            person = require_role(self._visit, Role.SCIENTIST)
            await call(
                lambda: fire_policy(
                    self._visit.settings, standing.policy.name, by=person.name, session=session
                ),
                doing="Firing the policy",
            )
            ui.notify("Asked for. The engine decides within seconds.", type="positive")

    async def _answer(self, one: DecisionView, approved: bool) -> None:
        with self._place, errors_shown():
            require_role(self._visit, Role.OPERATOR)
            words = "Approve" if approved else "Reject"
            reason = await ask(
                f"{words} what {one.policy} wants?",
                one.reason,
                do=words,
                reason="Why",
                dangerous=not approved,
            )
            if reason is None:
                return
            person = require_role(self._visit, Role.OPERATOR)
            await call(
                lambda: answer_firing(
                    self._visit.settings,
                    one.policy,
                    one.occurrence,
                    approved=approved,
                    by=person.name,
                    because=reason,
                ),
                doing="Answering",
            )
            self._reading.forget()
            ui.notify("Written down; the engine goes on from here.", type="positive")


def _same(facts: PolicyFacts, before: PolicyFacts | None) -> bool:
    # Errors are compared by their words.
    return before is not None and (
        facts.standings,
        str(facts.bad_file),
        facts.pause,
        facts.waiting,
        facts.decisions,
    ) == (before.standings, str(before.bad_file), before.pause, before.waiting, before.decisions)
