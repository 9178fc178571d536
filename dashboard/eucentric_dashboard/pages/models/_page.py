"""The models page: versions, comparison, production, lineage; promote and roll back."""

from __future__ import annotations

from pathlib import Path

from nicegui import background_tasks, ui

from eucentric_core import Role

from ...site import Visit, call, errors_shown, heading, may, require_role
from ...widgets import ReadingNotice, add_style, ask, require_extra
from ._compare import CompareCard
from ._facts import ModelFacts, move_to
from ._history import HistoryCard
from ._lineage import lineage_svg
from ._signatures import SignatureState
from ._source import source_of
from ._versions import VersionsCard

__all__ = ["build_models"]

_PERIOD_S = 1.0
_MOVE_TIMEOUT_S = 90.0


def build_models(visit: Visit) -> None:
    """Build the page for one viewer. `?model=NAME` shows another model than the edge's.

    Raises:
        ConfigurationError: the registry's room is not installed here.
    """
    require_extra("hub", "Models")
    add_style(Path(__file__).with_name("style.css"))
    _ModelsPage(visit)


class _ModelsPage:
    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._source = source_of(visit.settings)
        asked = ui.context.client.request.query_params.get("model")
        self._model = asked or visit.settings.edge.model
        self._shown: ModelFacts | None = None
        self._signature: SignatureState | None = None
        self._drawn: int | None = None
        with ui.element("div").classes("stack").style("width:100%") as self._place:
            with ui.element("div").classes("line spread"):
                heading("Models", level=1)
                with ui.element("div").classes("line"):
                    self._choice = ui.select([self._model], value=self._model, label="model")
                    self._choice.props("dense outlined options-dense").classes("pick").mark("model")
                    self._choice.on_value_change(self._change)
                    ui.link("MLflow", visit.settings.hub.mlflow_url, new_tab=True)
            self._notice = ReadingNotice("MLflow", back="start it with `eucentric models server`.")
            self._waiting = ui.label("Asking MLflow …").classes("muted").mark("waiting")
            with ui.element("div").classes("stack").style("width:100%") as self._content:
                self._versions = VersionsCard(
                    on_move=self._move,
                    on_compare=self._compare_with,
                    on_lineage=self._draw,
                    may_move=may(visit, Role.OPERATOR),
                )
                with ui.element("div").classes("columns"):
                    with ui.element("div").classes("stack"):
                        self._compare = CompareCard(self._source)
                    with ui.element("div").classes("stack"):
                        self._history = HistoryCard()
                with ui.element("section").classes("card"):
                    heading("Signature and lineage")
                    self._lineage = ui.element("div").classes("wide").mark("lineage")
        self._content.set_visibility(False)
        ui.timer(_PERIOD_S, self._refresh)

    def _refresh(self) -> None:
        reading = self._source.facts(self._model).look()
        self._notice.show(reading)
        facts = reading.value
        self._waiting.set_visibility(facts is None and reading.error is None)
        self._content.set_visibility(facts is not None)
        if facts is None:
            return
        signatures = {one.version: self._source.signatures.look(one) for one in facts.versions}
        changed, self._shown = facts != self._shown, facts
        if changed:
            self._choice.set_options(sorted({*facts.names, self._model}))
            self._versions.show(facts)
            self._history.show(facts)
        self._versions.refresh(signatures)
        drawn = self._drawn or facts.champion or (facts.versions[0].version if facts.versions else 0)
        if changed or signatures.get(drawn) != self._signature:
            self._draw(drawn)
        if changed:
            # Beside: it fetches the evidence, and what is amiss has to be told meanwhile.
            background_tasks.create(self._compare.show(facts))

    def _change(self) -> None:
        self._model, self._shown, self._drawn = str(self._choice.value), None, None
        self._refresh()

    async def _compare_with(self, version: int) -> None:
        with self._place:
            await self._compare.choose(version)

    def _draw(self, version: int) -> None:
        facts = self._shown
        found = None if facts is None else facts.version(version)
        self._lineage.clear()
        if facts is None or found is None:
            return
        self._drawn, self._signature = version, self._source.signatures.look(found)
        with self._lineage:
            ui.html(lineage_svg(found, facts.deployments, self._signature), sanitize=False)

    async def _move(self, version: int) -> None:
        # In a place that stays: the table is built anew while the question is open.
        with self._place, errors_shown():
            if self._shown is None:
                return
            require_role(self._visit, Role.OPERATOR)
            facts, model = self._shown, self._model
            move = move_to(version, facts.champion) or "promote"
            now = f"v{facts.champion} serves now" if facts.champion else "no version is champion yet"
            reason = await ask(
                f"{move.capitalize()} to {model} v{version}?"
                if move == "roll back"
                else f"Promote {model} v{version}?",
                f"A release of v{version} is signed and the edge swaps it in between two frames; {now}. "
                "If the edge refuses it, everything is as before.",
                do=f"{move.capitalize()}",
                reason="Why",
            )
            if reason is None:
                return
            person = require_role(self._visit, Role.OPERATOR)
            told = ui.notification(
                f"{model} v{version}: signing, telling the edge …", spinner=True, timeout=None
            )
            try:
                moved = await call(
                    lambda: self._source.move(
                        model, version, reason=reason, who=person.name, seen=facts.seen
                    ),
                    timeout_s=_MOVE_TIMEOUT_S,
                    doing="The promotion",
                )
            finally:
                told.dismiss()
            ui.notify(f"{model} v{version} is champion; {moved.deployment.sentence}.", type="positive")
