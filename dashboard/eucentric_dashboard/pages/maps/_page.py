"""The page: choose whose map of which image; look; click."""

from __future__ import annotations

from pathlib import Path

from nicegui import ui

from eucentric_core import EucentricError
from eucentric_model_registry.support_sets import support_set_store

from ..._encode import CONTRASTS, encode_image
from ...chips import CHIP_STYLE, ChipCanvas, Place, StudioImage, missing_packages
from ...site import Visit, call, empty_panel, errors_shown, heading
from ._drift_card import DriftCard
from ._export import view_csv
from ._picked_card import PickedCard
from ._session_drift import SessionDrift
from ._source import SavedSet, map_by, saved_set
from ._view import LAYERS, MapView, view_of_answer, view_of_mapped

__all__ = ["build_maps"]

_STYLE = Path(__file__).with_name("style.css")
_PERIOD_S = 0.25
_EDGE = ""
"""Name of the source that is the edge itself."""


def build_maps(visit: Visit) -> None:
    """Build the page for one person. `?set=NAME&version=N` chooses a support set."""
    ui.add_css(CHIP_STYLE)
    ui.add_css(_STYLE)
    MapsPage(visit)


class MapsPage:
    """One opened page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._view: MapView | None = None
        self._picked: Place | None = None
        self._chosen: SavedSet | None = None
        self._image: StudioImage | None = None
        self._drawn: object = None
        self._legend_shown: object = None
        with ui.element("div").classes("studio"):
            with ui.element("section").classes("card studio-main"):
                self._build_toolbar()
                self._about = ui.label().classes("muted").props("role=status")
                self._empty = empty_panel(
                    "There is no map yet.",
                    "Start a scan while the edge serves a model, or choose a saved support set above.",
                    icon="map",
                )
                self._canvas = ChipCanvas(on_pick=self._pick)
                self._canvas.set_lines(False)
                self._legend = ui.element("div").classes("line maps-legend")
            with ui.element("div").classes("stack studio-side"):
                self._picked_card = PickedCard()
                self._drift = DriftCard()
                self._session_drift = SessionDrift(visit, self._drift, chosen=lambda: self._chosen)
        ui.timer(0, self._fill_sources, once=True)
        ui.timer(_PERIOD_S, self._follow)
        self._draw()

    def _build_toolbar(self) -> None:
        with ui.element("div").classes("line spread studio-toolbar"):
            heading("Maps")
            with ui.element("div").classes("line"):
                self._source = (
                    ui.select(
                        {_EDGE: "The edge's answer"}, value=_EDGE, label="Map by", on_change=self._choose
                    )
                    .props("dense outlined options-dense")
                    .classes("maps-source")
                )
                self._live = ui.switch("Follow live", value=True).props("dense")
                self._live.tooltip("Off: the frame stays as it is while you look at it")
                ui.button("csv", icon="download", on_click=self._download).props(
                    "no-caps dense outline size=sm"
                )
        with ui.element("div").classes("line spread studio-toolbar"):
            self._layer = ui.toggle(list(LAYERS), value="Prediction", on_change=lambda _: self._draw()).props(
                "dense no-caps size=12px"
            )
            with ui.element("div").classes("line"):
                ui.label("Opacity").classes("muted")
                ui.slider(
                    min=0, max=100, value=55, on_change=lambda e: self._canvas.set_opacity(e.value / 100)
                ).props("dense aria-label='Opacity of the map' throttle=50").classes("w-24")
                ui.label("Contrast").classes("muted")
                self._contrast = ui.toggle(
                    list(CONTRASTS), value="normal", on_change=lambda _: self._draw()
                ).props("dense no-caps size=12px")

    async def _fill_sources(self) -> None:
        with errors_shown():
            records = await call(
                support_set_store(self._visit.settings).newest, doing="Reading the saved support sets"
            )
            names = {_EDGE: "The edge's answer"}
            if not missing_packages():
                names |= {f"{one.name}:{one.version}": f"{one.name} v{one.version}" for one in records}
            wanted = ui.context.client.request.query_params
            asked = f"{wanted.get('set', '')}:{wanted.get('version', '')}"
            self._source.set_options(names, value=asked if asked in names else _EDGE)

    async def _choose(self) -> None:
        self._chosen, self._picked = None, None
        self._drawn = None
        if self._source.value == _EDGE:
            self._live.set_value(True)
            self._view = None
        else:
            name, _, version = str(self._source.value).rpartition(":")
            with errors_shown():
                settings = self._visit.settings
                self._chosen = await call(
                    lambda: saved_set(settings, name, int(version)), doing="Reading the support set"
                )
        self._session_drift.refresh()
        self._draw()

    async def _follow(self) -> None:
        if not self._live.value:
            return
        hub = self._visit.hub
        picture = hub.picture(with_uncertainty=True)
        if picture is not None and picture.answer is None:
            # A model of chips sends no uncertainty to wait for; and a map may be older than the newest frame.
            picture = hub.answered_picture() or picture
        if picture is None or picture.version == self._drawn:
            return
        if self._chosen is None:
            view = view_of_answer(picture)
            if view is None:
                self._about.set_text("The edge has not answered this frame.")
                return
        else:
            chosen = self._chosen
            try:
                image = StudioImage.of_frame(picture.frame, live=True)
                mapped = await call(lambda: map_by(chosen, image), timeout_s=65, doing="The class map")
            except EucentricError as error:
                self._about.set_text(f"{error.what} Next: {error.next_step}")
                self._drawn = picture.version
                return
            source = f"{chosen.record.name} v{chosen.record.version}, on this hub"
            view = view_of_mapped(image, mapped, chosen.classes, source)
        if not self._live.value or chosen_differs(self._chosen, view):
            return
        self._drawn, self._view = picture.version, view
        self._draw()

    def _pick(self, place: Place) -> None:
        self._picked = place
        # What was clicked stays while it is looked at.
        self._live.set_value(False)
        self._draw()

    def _draw(self) -> None:
        view = self._view
        self._empty.set_visibility(view is None)
        self._canvas.set_visibility(view is not None)
        if self._chosen is None:
            self._show_course()
        if view is None:
            return
        image = view.image
        self._about.set_text(f"{view.source} · {image.title}")
        self._canvas.show_image(
            encode_image(image.array, self._contrast.value), image.shape_px, image.pixel_size_m
        )
        self._canvas.show_labels(view.grid, (), {}, 0)
        name = self._layer.value
        self._canvas.show_map(view.layers.get(name))
        picked = self._picked
        self._canvas.show_picked(picked if picked is not None and picked in view.grid else None)
        self._picked_card.show(view, self._picked)
        self._show_legend(view, name)

    def _show_legend(self, view: MapView, name: str) -> None:
        shown = (name, view.legend, name in view.layers)
        if shown == self._legend_shown:
            return
        self._legend_shown = shown
        self._legend.clear()
        with self._legend:
            if name not in view.layers:
                ui.label(f"{view.source} says nothing about {name.lower()}.").classes("muted")
            elif name == "Prediction":
                for label, colour in view.legend:
                    with ui.element("span").classes("studio-class-name"):
                        ui.element("span").classes("studio-swatch").style(f"background:{colour}")
                        ui.label(label)
            else:
                ui.element("span").classes("maps-scale")
                ui.label(f"{name}: {LAYERS[name]}").classes("muted")

    def _show_course(self) -> None:
        course = self._visit.hub.course
        if not course:
            self._drift.show((), "The edge has not answered any frame yet.")
            return
        session = course[-1].session
        points = [(point.sequence, point.drift_score) for point in course if point.session == session]
        self._drift.show(
            points,
            f"Drift score of the edge over the last {len(points)} frames of {session}: 1 (dotted) is the "
            "edge of what the model was trained on.",
            limit=1.0,
        )

    def _download(self) -> None:
        if self._view is None:
            ui.notify("There is no map to download yet.", type="warning")
            return
        ui.download.content(view_csv(self._view), "maps.csv")


def chosen_differs(chosen: SavedSet | None, view: MapView) -> bool:
    """Whether another source was chosen while a map was computed."""
    return (chosen is None) != (view.mapped is None)
