"""Two versions beside each other: their figures, and the images on which the newer one was judged."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from eucentric_model_registry import RegisteredVersion, compare_figures

from ...site import call, empty_panel, errors_shown, heading
from ...widgets import data_table
from ._evidence import Evidence
from ._facts import ModelFacts
from ._source import ModelSource

__all__ = ["CompareCard"]


class CompareCard:
    """`show` when something changed, `choose` when a person wants a certain version compared."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self._facts: ModelFacts | None = None
        self._shown: tuple[int, int] | None = None
        with ui.element("section").classes("card").mark("compare"):
            with ui.element("div").classes("line spread"):
                heading("Compare two")
                with ui.element("div").classes("line"):
                    self._first = self._choice("with")
                    self._second = self._choice("version")
            self._figures = ui.element("div").style("width:100%").mark("figures")
            self._images = ui.element("div").style("width:100%").mark("evidence")

    def _choice(self, name: str) -> ui.select:
        select = ui.select([], label=name, on_change=self._compare)
        return select.props("dense outlined options-dense").classes("pick").mark(f"compare-{name}")

    async def show(self, facts: ModelFacts) -> None:
        """Offer these versions; keeps what is compared, as long as it is there."""
        self._facts = facts
        numbers = {one.version: f"v{one.version}" for one in facts.versions}
        first, second = _usual(facts)
        if self._first.value in numbers and self._second.value in numbers:
            first, second = self._first.value, self._second.value
        self._shown = None
        self._first.set_options(numbers, value=first)
        self._second.set_options(numbers, value=second)
        await self._compare()

    async def choose(self, version: int) -> None:
        """Compare a version with the champion, or with the one before it."""
        if self._facts is None:
            return
        champion = self._facts.champion
        self._second.set_value(version)
        if champion is not None and champion != version:
            self._first.set_value(champion)
        await self._compare()

    async def _compare(self) -> None:
        facts = self._facts
        if facts is None:
            return
        first, second = (facts.version(choice.value or 0) for choice in (self._first, self._second))
        pair = None if first is None or second is None else (first.version, second.version)
        if pair == self._shown and pair is not None:
            return
        self._shown = pair
        self._figures.clear()
        self._images.clear()
        if first is None or second is None or first is second:
            with self._figures:
                empty_panel("There are no two versions to compare.", "Choose two.", icon="compare")
            return
        self._show_figures(first, second)
        newer = max(first, second, key=lambda one: one.version)
        with errors_shown(self._images):
            evidence = await call(
                lambda: self._source.evidence(facts.name, newer.version), doing="Fetching the evidence"
            )
            if self._shown == pair:
                self._show_evidence(newer, evidence)

    def _show_figures(self, first: RegisteredVersion, second: RegisteredVersion) -> None:
        with self._figures:
            data_table(
                "Figures of two versions",
                ["figure", f"v{first.version}", f"v{second.version}", "difference"],
                [
                    [
                        figure.name,
                        "" if figure.first is None else f"{figure.first:.4g}",
                        "" if figure.second is None else f"{figure.second:.4g}",
                        "" if figure.difference is None else f"{figure.difference:+.4g}",
                    ]
                    for figure in compare_figures(first, second)
                ],
                numbers=[f"v{first.version}", f"v{second.version}", "difference"],
            )

    def _show_evidence(self, version: RegisteredVersion, evidence: Evidence | None) -> None:
        self._images.clear()
        with self._images:
            if evidence is None:
                ui.label(f"v{version.version} was judged without a page of evidence.").classes("muted")
                return
            address = f"/models/evidence/{quote(version.name)}/{version.version}"
            ui.label(evidence.verdict).classes("verdict")
            ui.label(f"The same images as both saw them when v{version.version} was judged.").classes("muted")
            for number, pair in enumerate(evidence.pairs):
                ui.label(pair.title).classes("muted")
                with ui.element("div").classes("pair"):
                    for side, image in enumerate(pair.images):
                        with ui.element("figure"):
                            ui.element("img").props(
                                f'src="{address}/{number}/{side}.png" loading=lazy alt="{_plain(image.says)}"'
                            )
                            with ui.element("figcaption"):
                                ui.label(image.says)
            ui.link("The whole page of evidence, with every gate", f"{address}.html", new_tab=True)


def _usual(facts: ModelFacts) -> tuple[int | None, int | None]:
    """The champion and the version that is most worth a look beside it."""
    numbers = [one.version for one in facts.versions]
    if not numbers:
        return None, None
    challenger = next((one.version for one in facts.versions if "challenger" in one.aliases), None)
    previous = next((one.version for one in facts.versions if "previous" in one.aliases), None)
    champion = facts.champion if facts.champion is not None else numbers[-1]
    if challenger is not None:
        return champion, challenger
    if previous is not None:
        return previous, champion
    return champion, numbers[0] if numbers[0] != champion else numbers[-1]


def _plain(text: str) -> str:
    return text.replace('"', "'")
