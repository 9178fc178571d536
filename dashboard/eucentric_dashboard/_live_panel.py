"""The live image: newest frame, detections, uncertainty, scale bar."""

from __future__ import annotations

from nicegui import ui

from ._encode import CONTRASTS
from ._heading import heading
from ._hub import LiveHub
from ._palette import colour_of
from ._picture import Picture
from ._words import STALE_S, age_in_words

__all__ = ["LivePanel"]

_NO_LAYER = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
"""One transparent pixel."""


class LivePanel:
    """Shows the hub's picture of the moment; what is set here concerns this viewer alone.

    The browser fetches each image by its version and skips those that it is too slow for.
    """

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._shown: tuple[object, ...] = ()
        self._counts: tuple[tuple[str, int], ...] | None = None
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("Live image")
                self._caption = ui.label().classes("muted").mark("caption")
            with ui.element("div").classes("stage") as self._stage:
                self._image = ui.interactive_image().classes("w-full").mark("live-image")
                self._layer = ui.interactive_image(_NO_LAYER).classes("layer").mark("uncertainty-layer")
                self._overlay = ui.html(sanitize=False).classes("layer").mark("overlay")
                self._not_live = ui.label().classes("not-live").mark("not-live")
                self._empty = ui.label("Waiting for the first frame.").classes("empty")
            self._legend = ui.element("div").classes("line").style("min-height:24px").mark("legend")
            self._build_controls()
        self._image.set_visibility(False)
        self._not_live.set_visibility(False)

    def _build_controls(self) -> None:
        with ui.element("div").classes("line").style("margin-top:6px"):
            ui.label("Detections").classes("muted")
            self._opacity = (
                ui.slider(min=0, max=100, value=90)
                .props("dense aria-label='opacity of detections'")
                .classes("w-32")
            ).mark("opacity")
            self._uncertainty = ui.switch("Uncertainty").props("dense").mark("uncertainty")
            self._uncertainty.tooltip("yellow where the members of the ensemble disagree")
            ui.label("Contrast").classes("muted").style("margin-left:auto")
            self._contrast = (
                ui.toggle(list(CONTRASTS), value="normal").props("dense no-caps size=12px").mark("contrast")
            )

    def refresh(self) -> None:
        """Show the picture of this moment, if it is another one."""
        picture = self._hub.picture(with_uncertainty=self._uncertainty.value)
        if picture is None:
            return
        self._show_age(picture)
        wanted = (
            picture.version,
            picture.answer is not None,
            picture.deviation is not None and self._uncertainty.value,
            self._contrast.value,
            self._opacity.value,
        )
        if wanted != self._shown:
            self._shown = wanted
            self._show(picture)

    def _show(self, picture: Picture) -> None:
        self._empty.set_visibility(False)
        self._image.set_visibility(True)
        self._image.set_source(f"/live/image/{picture.version}.jpg?contrast={self._contrast.value}")
        self._overlay.set_content(picture.overlay_svg(opacity=self._opacity.value / 100))
        shows_layer = picture.deviation is not None and self._uncertainty.value
        self._layer.set_source(f"/live/uncertainty/{picture.version}.png" if shows_layer else _NO_LAYER)
        self._show_caption(picture)
        if picture.counts != self._counts:
            self._counts = picture.counts
            self._show_legend(picture.counts)

    def _show_age(self, picture: Picture) -> None:
        age_s = self._hub.figures().frame_age_s or 0.0
        stale = age_s > STALE_S
        self._not_live.set_visibility(stale)
        if stale:
            self._not_live.set_text(f"NOT LIVE · {age_in_words(age_s)} old")
        self._stage.classes(add="stale") if stale else self._stage.classes(remove="stale")

    def _show_caption(self, picture: Picture) -> None:
        header = picture.frame.header
        ny, nx = picture.frame.array.shape
        size = picture.pixel_size_m
        scale = "pixel size not known"
        if size is not None:
            scale = f"{size * 1e12:.3g} pm/px · {nx * size * 1e9:.3g} nm wide"
        self._caption.set_text(f"{header.stream} · frame {header.sequence} · {nx} × {ny} px · {scale}")

    def _show_legend(self, counts: tuple[tuple[str, int], ...]) -> None:
        self._legend.clear()
        with self._legend:
            for class_id, (name, count) in enumerate(counts):
                with ui.element("span").classes("legend"):
                    ui.element("span").classes("ring").style(f"border-color:{colour_of(class_id)}")
                    ui.label(f"{name} {count}")
            if not counts:
                ui.label("no detections for this frame").classes("muted")
