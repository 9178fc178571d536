"""Writing a policy: a form or its text, the sentence that it means, and what it would have done last week."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from eucentric_core import Role, Settings
from eucentric_flows.desk import check_policy_text, policy_text, switch_policy, take_into_use
from eucentric_flows.policy import Policy, PolicyError, explain, parse_policy

from ...forms import ModelForm, fields_of
from ...site import Visit, call, errors_shown, heading, require_role
from ...widgets import ask
from ._backtest import BacktestPanel
from ._declaration import policy_toml, problem_lines, problems_at_fields

__all__ = ["PolicyEditor"]

_SOURCE = "this policy"
_NEW = """schema_version = 2
name = "retrain-on-drift"
model = "{model}"

[trigger]
kind = "drift"
min_score = 1.5

[guards]
cooldown_s = 1800

[action]
kind = "retrain"
"""


class PolicyEditor:
    """The text is what counts; the form writes it. `edit` begins with a policy, `edit(None)` with a new one.

    Args:
        visit: whose page it is.
        on_taken: called after a policy was taken into use.
    """

    def __init__(self, visit: Visit, *, on_taken: Any) -> None:
        self._visit = visit
        self._on_taken = on_taken
        self._fields = fields_of(Policy, hidden=("schema_version", "enabled"))
        self._form: ModelForm | None = None
        self._checking = 0
        with ui.element("section").classes("card").mark("editor"):
            with ui.element("div").classes("line spread"):
                heading("Write a policy")
                with ui.element("div").classes("line actions"):
                    ui.button("New", on_click=lambda: self.edit(None)).props("flat dense no-caps")
                    self._view = ui.toggle(["form", "text"], value="form", on_change=self._show_view)
                    self._view.props("dense no-caps unelevated").mark("view")
            self._sentence = ui.label().classes("sentence").props("role=status").mark("sentence")
            self._problems = ui.element("div").classes("problems").props("role=alert").mark("problems")
            self._form_place = ui.element("div").style("width:100%").mark("policy-form")
            self._text = ui.textarea(label="Policy file (TOML)", on_change=self._typed)
            self._text.props(
                "outlined input-style='font:13px/1.5 ui-monospace,monospace' rows=18 debounce=250"
            )
            self._text.classes("field").mark("policy-text")
            with ui.element("div").classes("line"):
                self._take = ui.button("Take into use", on_click=self._take_into_use)
                self._take.props("no-caps unelevated").mark("take")
                ui.button("Back-test", on_click=self._back_test).props("outline no-caps").mark("backtest")
            self._past = BacktestPanel()
        self.edit(None)

    @property
    def _settings(self) -> Settings:
        return self._visit.settings

    async def open(self, name: str) -> None:
        """Edit a policy of the hub."""
        with errors_shown():
            self.edit(await call(lambda: policy_text(self._settings, name), doing="Reading the policy"))

    def edit(self, text: str | None) -> None:
        """Edit this text; None: a new policy."""
        self._past.clear()
        self._text.set_value(text or _NEW.format(model=self._settings.edge.model))
        self._show_view()

    def _show_view(self) -> None:
        as_form = self._view.value == "form"
        self._form_place.set_visibility(as_form)
        self._text.set_visibility(not as_form)
        if as_form:
            self._build_form()

    def _build_form(self) -> None:
        self._form_place.clear()
        self._form = None
        try:
            policy = parse_policy(self._text.value or "", _SOURCE)
        except PolicyError:
            with self._form_place:
                ui.label("The text is not a policy yet: mend it as text first.").classes("muted")
            return
        with self._form_place:
            values = policy.model_dump(mode="json", exclude_none=True)
            self._form = ModelForm(self._fields, on_change=self._filled_in, values=values)

    def _filled_in(self) -> None:
        if self._form is None:
            return
        values, wrong = self._form.values()
        if wrong:
            self._form.show_problems(wrong)
            self._say_problem("; ".join(f"{name}: {said}" for name, said in wrong.items()))
            return
        self._text.set_value(policy_toml(values, self._fields))

    async def _typed(self) -> None:
        text = self._text.value or ""
        self._checking += 1
        turn = self._checking
        self._past.clear()
        try:
            policy = parse_policy(text, _SOURCE)
            self._say(explain(policy))
            # Looks names up, which may import a recipe: not here.
            await call(lambda: check_policy_text(text, _SOURCE), doing="Checking the policy")
        except PolicyError as error:
            if turn == self._checking:
                self._show_problems(text, error)
            return
        if self._form is not None and turn == self._checking:
            self._form.show_problems({})

    def _say(self, sentence: str) -> None:
        self._problems.clear()
        self._sentence.set_text(sentence)
        self._sentence.classes(remove="wrong")
        self._take.enable()

    def _say_problem(self, words: str) -> None:
        self._sentence.set_text(f"This cannot be used yet. {words}")
        self._sentence.classes(add="wrong")
        self._take.disable()

    def _show_problems(self, text: str, error: PolicyError) -> None:
        count = len(error.problems)
        self._say_problem(f"{count} thing{'s' if count != 1 else ''} to mend:" if count else error.what)
        self._problems.clear()
        with self._problems:
            for problem, line in problem_lines(text, error.problems):
                with ui.element("div").classes("fault"):
                    ui.label(problem.sentence).classes("problem")
                    ui.label(f"{problem.line:4d} | {line}").classes("source")
        if self._form is not None:
            self._form.show_problems(problems_at_fields(error.problems, self._form.names))

    async def _take_into_use(self) -> None:
        with errors_shown():
            require_role(self._visit, Role.OPERATOR)
            text = self._text.value or ""
            policy = parse_policy(text, _SOURCE)
            reason = await ask(
                f"Take policy {policy.name} into use?",
                f"{explain(policy)} A policy of the same name is replaced; it acts from now on.",
                do="Take it into use",
                reason="Why",
            )
            if reason is None:
                return
            person = require_role(self._visit, Role.OPERATOR)

            def take() -> None:
                take_into_use(self._settings, text, _SOURCE)
                switch_policy(self._settings, policy.name, on=True, by=person.name, because=reason)

            await call(take, doing="Taking the policy into use")
            self._on_taken()
            ui.notify(f"Policy {policy.name} is on.", type="positive")

    async def _back_test(self) -> None:
        with errors_shown():
            policy = parse_policy(self._text.value or "", _SOURCE)
            await self._past.run(self._settings, policy)
