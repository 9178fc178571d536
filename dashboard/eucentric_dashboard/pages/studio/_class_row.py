"""One class: its key, name, number of chips and colour."""

from __future__ import annotations

from collections.abc import Callable

from nicegui import ui

from ...chips import LabelClass
from ._labels import FEWEST_CHIPS, LabelEvent, Recolour, RemoveClass, RenameClass

__all__ = ["ClassRow"]


class ClassRow:
    """A row that stays while the class does, so that nothing is lost that is being typed.

    Args:
        one: the class.
        choose: told when it is chosen.
        do: carries an event out; False where it was refused.
    """

    def __init__(
        self, one: LabelClass, *, choose: Callable[[int], None], do: Callable[[LabelEvent], bool]
    ) -> None:
        self._shown = one
        self._do = do
        key = one.key
        with ui.element("div").classes("studio-class"):
            self._choose = (
                ui.element("button")
                .classes("studio-key")
                .props(f"type=button role=radio aria-checked=false title='Key {key}'")
                .on("click", lambda: choose(key))
            )
            with self._choose:
                ui.label(str(key))
            self._name = (
                ui.input(value=one.name).props("dense borderless maxlength=60").classes("studio-name")
            )
            self._name.props["aria-label"] = f"Name of class {key}"
            self._name.on("change", self._rename)
            self._count = ui.label().classes("studio-count")
            self._colour = ui.element("input").classes("studio-colour").props("type=color")
            self._colour.props["aria-label"] = f"Colour of class {key}"
            self._colour.on(
                "change",
                lambda event: do(Recolour(key, str(event.args))),
                js_handler="e => emit(e.target.value)",
            )
            remove = ui.button(icon="close", on_click=lambda: do(RemoveClass(key))).props(
                "flat dense round size=sm"
            )
            remove.props["aria-label"] = f"Remove class {key}"
        self._paint(one)

    def show(self, one: LabelClass, chips: int, *, chosen: bool) -> None:
        """Show what has changed."""
        if one != self._shown:
            if one.name != self._shown.name:
                self._name.set_value(one.name)
            self._shown = one
            self._paint(one)
        self._choose.props(f"aria-checked={'true' if chosen else 'false'}")
        self._choose.classes(add="chosen") if chosen else self._choose.classes(remove="chosen")
        self._count.set_text(f"{chips} chip{'' if chips == 1 else 's'}")
        few = 0 < chips < FEWEST_CHIPS
        self._count.classes(add="few") if few else self._count.classes(remove="few")

    def _paint(self, one: LabelClass) -> None:
        self._choose.style(f"--class-colour:{one.colour}")
        # Not in the text of the props: a name may hold any letter.
        self._choose.props["aria-label"] = f"Label as {one.name}"
        self._colour.props["value"] = one.colour
        for element in (self._choose, self._colour):
            element.update()

    def _rename(self) -> None:
        if not self._do(RenameClass(self._shown.key, str(self._name.value or ""))):
            self._name.set_value(self._shown.name)
