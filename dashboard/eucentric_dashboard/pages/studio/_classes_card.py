"""Step 3: classes and how many chips each has."""

from __future__ import annotations

from nicegui import ui

from ...chips import MOST_CLASSES, data_url
from ...site import errors_shown, heading
from ._class_row import ClassRow
from ._desk import Desk
from ._labels import AddClass, DropKept, LabelEvent

__all__ = ["ClassesCard"]


class ClassesCard:
    """A row for each class: key, name, chips, colour."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._kept_shown: object = None
        self._rows: dict[int, ClassRow] = {}
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("3 · Label chips")
                self._add = ui.button("Add class", icon="add", on_click=lambda: self._do(AddClass())).props(
                    "no-caps dense flat"
                )
            self._place = (
                ui.element("div")
                .classes("studio-classes")
                .props("role=radiogroup aria-label='Class that clicks give'")
            )
            self._kept = ui.element("div").classes("studio-kept")
            self._needs = ui.element("div").classes("studio-needs").props("role=status")
            self._needs_shown: tuple[str, ...] | None = None

    def refresh(self) -> None:
        """Show classes, counts and what is missing."""
        labelling = self._desk.labelling
        if labelling is None:
            return
        if [one.key for one in labelling.classes] != list(self._rows):
            self._place.clear()
            with self._place:
                self._rows = {
                    one.key: ClassRow(one, choose=self._desk.choose, do=self._do) for one in labelling.classes
                }
        counts = labelling.counts
        for one in labelling.classes:
            self._rows[one.key].show(one, counts[one.key], chosen=one.key == self._desk.current)
        self._add.set_enabled(len(labelling.classes) < MOST_CLASSES)
        self._show_needs(labelling.needs)
        self._show_kept()

    def _show_needs(self, needs: tuple[str, ...]) -> None:
        if needs == self._needs_shown:
            return
        self._needs_shown = needs
        self._needs.clear()
        with self._needs:
            for need in needs:
                ui.label(need)

    def _show_kept(self) -> None:
        labelling, loaded = self._desk.labelling, self._desk.loaded
        wanted = None if labelling is None or loaded is None else (labelling.kept, labelling.classes)
        if wanted == self._kept_shown:
            return
        self._kept_shown = wanted
        self._kept.clear()
        if labelling is None or loaded is None or not labelling.kept:
            return
        with self._kept:
            ui.label("Kept from another image; click to leave out:").classes("muted")
            with ui.element("div").classes("line studio-thumbs"):
                for index, key in labelling.kept.items():
                    one = labelling.class_of(key)
                    thumb = (
                        ui.element("button")
                        .classes("studio-thumb")
                        .style(f"--class-colour:{one.colour}")
                        .props("type=button")
                        .on("click", lambda index=index: self._do(DropKept(index)))
                    )
                    thumb.props["aria-label"] = f"Leave out a chip of {one.name}"
                    with thumb:
                        ui.element("img").props(f"alt='' src={data_url(loaded.pictures[index])}")

    def _do(self, event: LabelEvent) -> bool:
        """Whether it was done; where not, why is shown."""
        done = False
        with errors_shown():
            self._desk.do(event)
            done = True
        return done
