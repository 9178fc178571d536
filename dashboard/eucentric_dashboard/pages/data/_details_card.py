"""One data set: what is known of it, whether its files are whole, notes, tags, and how to open it."""

from __future__ import annotations

from nicegui import ui

from eucentric_core import Role, Settings
from eucentric_data_repository import database_of
from eucentric_data_repository.data_cli import dataset_lines

from ...site import Visit, call, errors_shown, heading, require_role
from ...widgets import moment
from ._search_card import picture_address
from ._snippet_panel import SnippetPanel
from ._source import DataSource, Shown

__all__ = ["DetailsCard", "checksum_words"]


def checksum_words(shown: Shown) -> str:
    """Whether every file was found to be what was recorded. Pure."""
    shards = shown.shards
    kept = [one for one in shards if one.state == "here"]
    receipts = sum(one.receipted_utc is not None for one in shards)
    awaited = 0 if shown.manifest is None else max(0, len(shown.manifest.shards) - len(shards))
    words = f"{len(shards)} shards arrived, the SHA-256 of each was confirmed; {receipts} receipts given"
    if len(kept) < len(shards):
        words += f"; {len(shards) - len(kept)} pruned, hashes kept"
    return words + (f"; {awaited} have not come yet" if awaited else "")


class DetailsCard:
    """Hidden until `open`."""

    def __init__(self, visit: Visit, source: DataSource) -> None:
        self._visit = visit
        self._source = source
        self._dataset_id: str | None = None
        with ui.element("section").classes("card").mark("details") as self._card:
            with ui.element("div").classes("line spread"):
                self._title = ui.label().classes("run-title").props("role=heading aria-level=2")
                ui.button("Close", on_click=self.close).props("flat dense no-caps")
            self._place = ui.element("div").style("width:100%")
        self.close()

    @property
    def _settings(self) -> Settings:
        return self._visit.settings

    def close(self) -> None:
        """Show no data set."""
        self._dataset_id = None
        self._card.set_visibility(False)

    async def open(self, dataset_id: str) -> None:
        """Show a data set."""
        self._dataset_id = dataset_id
        self._card.set_visibility(True)
        self._title.set_text(dataset_id)
        with errors_shown(self._place):
            shown = await call(lambda: self._source.show(dataset_id), doing="Reading the catalogue")
            if self._dataset_id == dataset_id:
                self._place.clear()
                with self._place:
                    self._build(dataset_id, shown)

    def _build(self, dataset_id: str, shown: Shown) -> None:
        details = shown.details
        with ui.element("div").classes("about"):
            if self._source.thumbnails.find(dataset_id) is not None:
                ui.element("img").props(
                    f'src="{picture_address(dataset_id)}" alt="First image of {dataset_id}"'
                )
            with ui.element("div"):
                for line in dataset_lines(details, shown.manifest):
                    ui.label(line.strip()).classes("fact")
                ui.label(checksum_words(shown)).classes("fact").mark("checksums")
        heading("Tags and notes", level=3)
        with ui.element("div").classes("line"):
            for tag in details.entry.tags:
                ui.chip(tag, removable=True, on_value_change=lambda tag=tag: self._untag(tag)).props(
                    "dense square outline color=grey-5"
                )
            self._new_tag = ui.input("Add a tag").props("outlined dense maxlength=64").mark("new-tag")
            self._new_tag.on("keydown.enter", self._add_tag)
        for note in details.notes:
            ui.label(f"{moment(note.at_utc)} {note.by}: {note.text}").classes("fact")
        with ui.element("div").classes("line"):
            self._new_note = ui.textarea("Add a note").props("outlined dense autogrow maxlength=10000")
            self._new_note.classes("note").mark("new-note")
            ui.button("Save note", on_click=self._add_note).props("outline dense no-caps").mark("save-note")
        heading("Open it in a notebook", level=3)
        streams = [one.stream for one in details.streams if len(one.shape) == 2 and one.stream != "truth"]
        if streams:
            SnippetPanel(dataset_id, streams[0], database_of(self._settings))
        else:
            ui.label("It holds no images.").classes("muted")

    async def _add_note(self) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            text, dataset_id = (self._new_note.value or "").strip(), self._dataset_id
            if not text or dataset_id is None:
                return
            await call(lambda: self._source.note(dataset_id, text, person.name), doing="Saving the note")
            await self.open(dataset_id)

    async def _add_tag(self) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            tag, dataset_id = (self._new_tag.value or "").strip(), self._dataset_id
            if not tag or dataset_id is None:
                return
            await call(lambda: self._source.tag(dataset_id, tag, person.name), doing="Adding the tag")
            await self.open(dataset_id)

    async def _untag(self, tag: str) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            if (dataset_id := self._dataset_id) is None:
                return
            await call(lambda: self._source.untag(dataset_id, tag, person.name), doing="Removing the tag")
            await self.open(dataset_id)
