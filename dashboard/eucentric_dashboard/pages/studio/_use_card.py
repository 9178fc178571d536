"""Step 6: other classes for the edge at once, or a model of its own by a retraining."""

from __future__ import annotations

from urllib.parse import urlencode

from nicegui import ui

from eucentric_core import EucentricError, Role

from ...chips import LabelError
from ...site import Visit, call, errors_shown, heading, may, require_role
from ...site._navigation import address_of
from ._desk import Desk
from ._edge import EdgeState, give_back_classes, look_at_edge, send_to_edge

__all__ = ["UseCard"]

_LOOK_EVERY_S = 3.0


class UseCard:
    """What the edge serves, and how this support set gets there."""

    def __init__(self, visit: Visit, desk: Desk) -> None:
        self._visit = visit
        self._desk = desk
        self._edge: EdgeState | None = None
        with ui.element("section").classes("card"):
            heading("6 · On the live image")
            self._about = ui.label("Asking the edge.").classes("muted").props("role=status")
            with ui.element("div").classes("line studio-row"):
                self._send = ui.button("Send to the edge", icon="bolt", on_click=self._give).props(
                    "no-caps dense"
                )
                self._back = ui.button(
                    "Give back its own classes", icon="undo", on_click=self._give_back
                ).props("no-caps dense outline")
                self._train = ui.button(
                    "Start a retraining", icon="model_training", on_click=self._retrain
                ).props("no-caps dense outline")
            self._send.tooltip(
                "At once, for everybody who looks at the live image; until the next installation"
            )
            self._train.tooltip("A signed, judged and promoted model of this support set, with a way back")
        self.refresh()
        ui.timer(_LOOK_EVERY_S, self.look, immediate=True)

    def refresh(self) -> None:
        """Show what can be done."""
        allowed = may(self._visit, Role.SCIENTIST)
        takes = self._edge is not None and self._edge.takes_support
        self._send.set_enabled(allowed and takes and self._desk.map_is_current)
        self._back.set_visibility(takes)
        self._back.set_enabled(allowed)
        self._train.set_enabled(allowed and self._desk.record is not None)

    async def look(self) -> None:
        """Ask the edge what it serves."""
        try:
            self._edge = await call(
                lambda: look_at_edge(self._visit.settings), timeout_s=5, doing="Asking the edge"
            )
        except EucentricError as error:
            self._edge = None
            self._about.set_text(f"No edge answers here: maps are computed on this hub. ({error.what})")
        else:
            self._about.set_text(_of(self._edge))
        self.refresh()

    async def _give(self) -> None:
        with errors_shown():
            require_role(self._visit, Role.SCIENTIST)
            mapped = self._desk.mapped
            if mapped is None or not self._desk.map_is_current:
                raise LabelError(
                    "The map is not of what is labelled now.",
                    safe="the edge serves what it served.",
                    next_step="wait for the map, and send again.",
                )
            classes = await call(
                lambda: send_to_edge(self._visit.settings, mapped[1].support), doing="Sending to the edge"
            )
            ui.notify(f"The edge now answers with {', '.join(classes)}.", type="positive")
        await self.look()

    async def _give_back(self) -> None:
        with errors_shown():
            require_role(self._visit, Role.SCIENTIST)
            classes = await call(lambda: give_back_classes(self._visit.settings), doing="Asking the edge")
            ui.notify(f"The edge answers with its own classes again: {', '.join(classes)}.", type="positive")
        await self.look()

    def _retrain(self) -> None:
        record = self._desk.record
        if record is None:
            return
        wanted = {"support_set": record.name, "support_version": record.version}
        image = self._desk.image
        # A live session may not have reached the repository yet: the flow then takes the newest that has.
        if image is not None and image.origin.kind == "session" and image.origin.session is not None:
            wanted["session"] = image.origin.session
        ui.navigate.to(f"{address_of('/flows', self._visit)}&{urlencode({'flow': 'few-shot', **wanted})}")


def _of(edge: EdgeState) -> str:
    if edge.model is None:
        return "The edge serves no model yet: a retraining makes the first one."
    if not edge.takes_support:
        return (
            f"The edge serves {edge.model} (engine {edge.engine}), which knows no support sets: maps are "
            "computed on this hub. A retraining makes a model of this one."
        )
    return f"The edge serves {edge.model}; it answers with {', '.join(edge.classes)}."
