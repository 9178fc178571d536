"""The page: the image at the left, the steps at the right."""

from __future__ import annotations

from nicegui import ui

from eucentric_core import EucentricError
from eucentric_model_registry.support_sets import SupportSetRecord, support_set_store

from ..._encode import CONTRASTS, encode_image
from ...chips import (
    CHIP_STYLE,
    ChipCanvas,
    ImageUnreadableError,
    LabelError,
    MapLayer,
    MappingError,
    Place,
    StudioImage,
    image_of_origin,
    missing_packages,
    shared_mapper,
)
from ...site import Visit, call, empty_panel, error_panel, errors_shown, heading
from ._classes_card import ClassesCard
from ._desk import Desk
from ._grid_card import GridCard
from ._image_card import ImageCard, frozen_live
from ._labels import LabelEvent, Paint
from ._live_view import LiveView
from ._loaded import read_loaded
from ._map_card import MapCard
from ._mapping import MapKeeper
from ._save_card import SaveCard
from ._use_card import UseCard

__all__ = ["build_studio"]


def build_studio(visit: Visit) -> None:
    """Build the page for one person."""
    ui.add_css(CHIP_STYLE)
    if missing := missing_packages():
        error_panel(
            MappingError(
                "The studio needs few-shot models, which are not installed on this hub "
                f"({', '.join(missing)}).",
                safe="everything else on this dashboard works without.",
                next_step="install 'eucentric[few-shot]' on the hub and start the dashboard again.",
            )
        )
        return
    Studio(visit)


class Studio:
    """One opened page."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._desk = Desk()
        self._image_shown: tuple[StudioImage, str] | None = None
        with ui.element("div").classes("studio"):
            with ui.element("section").classes("card studio-main"):
                self._build_toolbar()
                self._empty = empty_panel(
                    "No image is open.",
                    "Freeze the live image, open one of a session, or bring a file (step 1).",
                    icon="image_search",
                )
                self._canvas = ChipCanvas(
                    on_paint=self._paint,
                    on_choose=self._desk.choose,
                    on_undo=self._desk.undo,
                    on_redo=self._desk.redo,
                )
                self._live_view = LiveView(visit, self._desk, self._canvas)
                self._hint = ui.label(
                    "Click or drag to label; click again, or use the right button, to take a label away. "
                    "Keys 1 to 9 choose the class, Ctrl+Z undoes, Ctrl+Y does again, arrows and space work "
                    "without a mouse, the wheel zooms, Shift and drag moves."
                ).classes("muted")
            with ui.element("div").classes("stack studio-side"):
                self._image_card = ImageCard(visit, self._desk)
                self._grid_card = GridCard(self._desk)
                self._classes_card = ClassesCard(self._desk)
                self._map_card = MapCard(self._desk)
                self._save_card = SaveCard(visit, self._desk, self._load)
                self._use_card = UseCard(visit, self._desk)
        MapKeeper(self._desk, self._map_card)
        self._desk.on_change(self._refresh)
        self._begin()

    def _build_toolbar(self) -> None:
        desk = self._desk
        with ui.element("div").classes("line spread studio-toolbar"):
            heading("Support-set studio")
            with ui.element("div").classes("line"):
                self._undo = ui.button(icon="undo", on_click=desk.undo).props(
                    "flat dense round aria-label=Undo"
                )
                self._redo = ui.button(icon="redo", on_click=desk.redo).props(
                    "flat dense round aria-label=Redo"
                )
                self._live = ui.switch("Live", on_change=lambda e: self._turn_live(e.value)).props("dense")
                self._live.tooltip("The live image with the edge's map, in place of the one that is labelled")
                self._lines = ui.switch(
                    "Grid", value=True, on_change=lambda e: self._canvas.set_lines(e.value)
                )
                self._lines.props("dense")
                ui.label("Map").classes("muted")
                self._opacity = (
                    ui.slider(
                        min=0, max=100, value=50, on_change=lambda e: self._canvas.set_opacity(e.value / 100)
                    )
                    .props("dense aria-label='Opacity of the map' throttle=50")
                    .classes("w-24")
                )
                ui.label("Contrast").classes("muted")
                self._contrast = ui.toggle(
                    list(CONTRASTS), value="normal", on_change=lambda _: self._refresh()
                ).props("dense no-caps size=12px")

    def _begin(self) -> None:
        wanted = ui.context.client.request.query_params
        name, version = wanted.get("set"), wanted.get("version", "")
        ui.timer(0, self._warm_up, once=True)
        if name:
            ui.timer(
                0, lambda: self._load_named(name, int(version) if version.isdecimal() else None), once=True
            )
        elif self._visit.hub.picture() is not None:
            with errors_shown():
                self._desk.open_image(frozen_live(self._visit))
        self._refresh()

    async def _warm_up(self) -> None:
        try:
            await call(shared_mapper().warm_up, timeout_s=120, doing="Opening the encoder")
        except EucentricError as error:
            self._map_card.show_problem(error)

    async def _load_named(self, name: str, version: int | None) -> None:
        with errors_shown():
            store = support_set_store(self._visit.settings)
            await self._load(await call(lambda: store.record(name, version), doing="Reading the store"))

    async def _load(self, record: SupportSetRecord) -> None:
        settings = self._visit.settings
        with errors_shown():
            content = await call(
                lambda: support_set_store(settings).content(record), doing="Reading the store"
            )
            loaded = await call(lambda: read_loaded(content), doing="Reading the support set")
            image = await self._image_of(record)
            self._desk.load(loaded, image, record)
            ui.notify(f"Opened {record.name} version {record.version}.", type="positive")

    async def _image_of(self, record: SupportSetRecord) -> StudioImage:
        """The image that was labelled, if the repository has it; else what is open, or the live one."""
        settings = self._visit.settings
        try:
            found = await call(
                lambda: image_of_origin(settings, record.image), doing="Reading the repository"
            )
        except EucentricError:
            found = None  # a hub without a repository: the chips themselves are in the set
        if found is not None:
            return found.with_pixel_size(record.pixel_size_m)
        if self._desk.image is not None:
            return self._desk.image
        try:
            return frozen_live(self._visit)
        except ImageUnreadableError as error:
            raise ImageUnreadableError(
                f"{record.name} v{record.version} was found, but there is no image to lay it over.",
                safe="the support set is unchanged.",
                next_step="open an image first (step 1), then the set again.",
            ) from error

    def _turn_live(self, on: bool) -> None:
        self._image_shown = None
        self._live_view.turn(on)
        self._refresh()

    def _paint(self, places: tuple[Place, ...], key: int | None) -> None:
        self._do(Paint(places, key))

    def _do(self, event: LabelEvent) -> None:
        try:
            self._desk.do(event)
        except LabelError as error:
            ui.notify(f"{error.what} {error.next_step}", type="warning")

    def _refresh(self) -> None:
        desk = self._desk
        live = self._live_view.on
        self._empty.set_visibility(desk.image is None and not live)
        self._canvas.set_visibility(desk.image is not None or live)
        self._hint.set_visibility(desk.image is not None and not live)
        self._canvas.set_paints(not live)
        self._live_view.contrast = self._contrast.value
        self._undo.set_enabled(desk.can_undo)
        self._redo.set_enabled(desk.can_redo)
        if desk.image is not None and desk.labelling is not None and not live:
            shown = (desk.image, self._contrast.value)
            if self._image_shown != shown:
                self._image_shown = shown
                jpeg = encode_image(desk.image.array, self._contrast.value)
                self._canvas.show_image(jpeg, desk.image.shape_px, desk.image.pixel_size_m)
            now = desk.labelling
            self._canvas.show_labels(now.grid, now.classes, now.chips, desk.current)
            self._canvas.show_map(self._layer())
        for card in (self._image_card, self._grid_card, self._classes_card, self._map_card):
            card.refresh()
        self._save_card.refresh()
        self._use_card.refresh()

    def _layer(self) -> MapLayer | None:
        """The newest map, also while the next one is computed, unless it is of another image or grid."""
        desk = self._desk
        if desk.mapped is None or desk.work is None:
            return None
        work, mapped = desk.mapped
        if work.image is not desk.image or work.labelling.grid != desk.work.labelling.grid:
            return None
        return MapLayer.of_classes(mapped, desk.work.labelling.classes)
