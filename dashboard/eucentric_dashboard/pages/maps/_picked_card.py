"""What is known of the place that was clicked: the chip itself and the support chips that it resembles."""

from __future__ import annotations

from nicegui import ui

from ...chips import Place, data_url
from ...site import heading
from ._view import MapView

__all__ = ["PickedCard"]


class PickedCard:
    """Empty until a place is clicked."""

    def __init__(self) -> None:
        with ui.element("section").classes("card maps-card"):
            heading("The place you clicked")
            self._place = ui.element("div").props("role=status")
        self.show(None, None)

    def show(self, view: MapView | None, place: Place | None) -> None:
        """Show a place of a view."""
        self._place.clear()
        with self._place:
            if view is None or place is None or place not in view.grid:
                ui.label(
                    "Click a place on the map, or go there with the arrow keys and press space."
                ).classes("muted")
                return
            _fill(view, place)


def _fill(view: MapView, place: Place) -> None:
    found = view.picked(place)
    top, left = view.grid.corner_px(place)
    side = view.grid.side_px
    chip = view.image.array[top : top + side, left : left + side]
    with ui.element("div").classes("maps-picked"):
        _picture(data_url(chip, like=view.image.array), "The chip", large=True)
        with ui.element("dl").classes("maps-facts"):
            for name, value in found.facts:
                with ui.element("dt"):
                    ui.label(name)
                with ui.element("dd"):
                    ui.label(value)
    mapped = view.mapped
    if mapped is None:
        ui.label("Nearest support chips are shown for a support set: choose one above the image.").classes(
            "muted"
        )
        return
    ui.label("Nearest support chips, and how far (0 alike, 2 opposite)").classes("muted")
    colours = dict(view.legend)
    with ui.element("div").classes("line maps-nearest"):
        for label, origin, far, index in found.nearest:
            with ui.element("figure").style(f"--class-colour:{colours.get(label, '#9aa4ae')}"):
                _picture(data_url(mapped.support_pixels[index]), f"Support chip of {label}, {origin}")
                with ui.element("figcaption"):
                    ui.label(label)
                    ui.label(f"{far:.3f}").classes("muted")


def _picture(source: str, alt: str, *, large: bool = False) -> None:
    picture = ui.element("img").classes("maps-chip large" if large else "maps-chip")
    picture.props["src"], picture.props["alt"] = source, alt
