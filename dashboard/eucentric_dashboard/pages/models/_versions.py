"""The table of versions: what each is, where it serves, whether it is signed, and what can be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from nicegui import ui

from eucentric_core import utc_now

from ...site import empty_panel, heading
from ...widgets import ago, chip, data_table, moment
from ._facts import ModelFacts, VersionRow, version_rows
from ._signatures import SignatureState

__all__ = ["VersionsCard"]

_TONES = {"signed": "done", "refused": "failed", "unknown": "waiting"}
_ALIAS_TONES = {"champion": "done", "challenger": "active"}


class VersionsCard:
    """`show` when something changed, `refresh` every second: that moves no button, so no focus is lost.

    Args:
        on_move: told the version that is to be champion.
        on_compare: told the version to compare with the champion.
        on_lineage: told the version whose lineage is to be drawn.
        may_move: whether the person may move the champion; the server asks again.
    """

    def __init__(
        self,
        *,
        on_move: Callable[[int], object],
        on_compare: Callable[[int], object],
        on_lineage: Callable[[int], object],
        may_move: bool,
    ) -> None:
        self._on_move = on_move
        self._on_compare = on_compare
        self._on_lineage = on_lineage
        self._may_move = may_move
        self._ages: list[tuple[ui.label, VersionRow]] = []
        self._signatures: dict[int, tuple[ui.element, SignatureState | None]] = {}
        with ui.element("section").classes("card"):
            heading("Versions")
            self._place = ui.element("div").style("width:100%").mark("versions")

    def show(self, facts: ModelFacts) -> None:
        """Show these versions."""
        rows = version_rows(facts)
        self._place.clear()
        self._ages, self._signatures = [], {}
        with self._place:
            if not rows:
                empty_panel(
                    f"Model {facts.name} has no version yet.",
                    "`eucentric flows bootstrap` makes the first one, the flow `retrain` the next ones.",
                    icon="model_training",
                )
                return
            figures = [name.replace("_", " ") for name, _ in rows[0].figures]
            columns = [
                "version",
                "aliases",
                "edges",
                "signature",
                *figures,
                "registered (UTC)",
                "asked for by",
                "",
            ]
            data_table(
                f"Versions of {facts.name}, newest first",
                columns,
                [self._cells(row) for row in rows],
                numbers=figures,
            )

    def refresh(self, signatures: Mapping[int, SignatureState]) -> None:
        """Let ages grow, and show what was found of the signatures."""
        for version, (place, shown) in self._signatures.items():
            if (state := signatures.get(version)) != shown:
                self._signatures[version] = (place, state)
                place.clear()
                with place:
                    _signature(state)
        now = utc_now()
        for label, row in self._ages:
            label.set_text(ago(row.registered.registered_utc, now_utc=now))

    def _cells(self, row: VersionRow) -> list[str | Callable[[], object]]:
        return [
            f"v{row.version}",
            partial(_aliases, row),
            partial(_edges, row),
            partial(self._signed, row),
            *(value for _, value in row.figures),
            partial(self._registered, row),
            row.came_by,
            partial(self._actions, row),
        ]

    def _signed(self, row: VersionRow) -> None:
        self._signatures[row.version] = (ui.element("div"), None)

    def _registered(self, row: VersionRow) -> None:
        ui.label(moment(row.registered.registered_utc)).classes("when")
        self._ages.append((ui.label().classes("muted"), row))

    def _actions(self, row: VersionRow) -> None:
        with ui.element("div").classes("line actions"):
            _button("Compare", row, lambda: self._on_compare(row.version))
            _button("Lineage", row, lambda: self._on_lineage(row.version))
            if row.move is not None:
                words = "Roll back" if row.move == "roll back" else "Promote"
                button = _button(words, row, lambda: self._on_move(row.version))
                button.props(remove="flat", add="outline")
                if not self._may_move:
                    button.tooltip("needs the role operator")


def _button(words: str, row: VersionRow, do: Callable[[], object]) -> ui.button:
    button = ui.button(words, on_click=do).props(
        f'flat dense no-caps aria-label="{words} version {row.version}"'
    )
    return button.mark(f"{words.lower().replace(' ', '-')}-{row.version}")


def _aliases(row: VersionRow) -> None:
    with ui.element("div").classes("steps"):
        for alias in row.aliases:
            chip(alias, _ALIAS_TONES.get(alias, ""))  # type: ignore[arg-type]


def _edges(row: VersionRow) -> None:
    with ui.element("div").classes("steps"):
        for sentence in row.edges:
            kind = sentence.partition(" ")[0]
            chip(sentence, {"serving": "done", "refused": "failed", "promoted,": "active"}.get(kind, ""))  # type: ignore[arg-type]


def _signature(state: SignatureState | None) -> None:
    if state is None:
        ui.label("")
        return
    chip(state.state, _TONES[state.state], tip=state.words)  # type: ignore[arg-type]
    if state.state == "refused":
        ui.label(state.words).classes("muted")
