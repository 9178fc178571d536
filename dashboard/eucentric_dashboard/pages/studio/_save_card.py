"""Step 5: keep it, share it, and put it to use."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from nicegui import ui
from pydantic import TypeAdapter, ValidationError

from eucentric_core import Identifier, Role
from eucentric_model_registry.support_sets import SupportSetRecord, support_set_store

from ...chips import LabelError
from ...site import Visit, call, errors_shown, heading, may, require_role
from ...site._navigation import address_of
from ._desk import Desk

__all__ = ["SaveCard", "share_address"]

_NAME: TypeAdapter[str] = TypeAdapter(Identifier)


def share_address(visit: Visit, record: SupportSetRecord) -> str:
    """A link that opens a version, for anybody who may open this page."""
    return f"{address_of('/studio', visit)}&{urlencode({'set': record.name, 'version': record.version})}"


class SaveCard:
    """Name, notes, versions.

    Args:
        visit: whose page it is.
        desk: what is saved.
        load: opens a version.
    """

    def __init__(self, visit: Visit, desk: Desk, load: Callable[[SupportSetRecord], Awaitable[None]]) -> None:
        self._visit = visit
        self._desk = desk
        self._load = load
        self._store = support_set_store(visit.settings)
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("5 · Keep and use")
                ui.button("Open a saved set", icon="folder_open", on_click=self._choose).props(
                    "no-caps dense flat"
                )
            with ui.element("div").classes("line studio-row"):
                self._name = ui.input("Name", placeholder="oxide-film").props("dense outlined maxlength=100")
                self._notes = ui.input("Notes").props("dense outlined maxlength=2000").classes("studio-notes")
                self._save = ui.button("Save", icon="save", on_click=self._keep).props("no-caps")
                self._save.set_enabled(may(visit, Role.SCIENTIST))
            with ui.element("div").classes("line studio-row"):
                self._about = ui.label().classes("muted").props("role=status")
                self._share = ui.button("Copy link", icon="link", on_click=self._copy).props(
                    "no-caps dense flat size=sm"
                )
                self._history = ui.button("History", icon="history", on_click=self._show_history).props(
                    "no-caps dense flat size=sm"
                )
        self._named: SupportSetRecord | None = None

    def refresh(self) -> None:
        """Show which version this is."""
        record = self._desk.record
        for element in (self._share, self._history):
            element.set_visibility(record is not None)
        if record is None:
            text = (
                "Not saved yet. " if may(self._visit, Role.SCIENTIST) else "Saving needs the role scientist. "
            )
            self._about.set_text(text + "Saved versions are never overwritten.")
        else:
            changed = "" if self._is_saved() else " · changed since"
            self._about.set_text(
                f"{record.name} v{record.version} by {record.author}, "
                f"{record.saved_utc:%Y-%m-%d %H:%M} UTC{changed}"
            )
        if record is not self._named:
            self._named = record
            if record is not None:
                self._name.set_value(record.name)
                self._notes.set_value(record.notes)

    def _is_saved(self) -> bool:
        import hashlib

        record, mapped = self._desk.record, self._desk.mapped
        if record is None or mapped is None or not self._desk.map_is_current:
            return False
        return hashlib.sha256(mapped[1].support).hexdigest() == record.sha256

    async def _keep(self) -> None:
        with errors_shown():
            person = require_role(self._visit, Role.SCIENTIST)
            new, content = self._desk.to_save(
                name=_checked(self._name.value), author=person.name, notes=str(self._notes.value or "")
            )
            record = await call(lambda: self._store.save(new, content), doing="Saving")
            self._desk.saved(record)
            ui.notify(f"Saved as {record.name} version {record.version}.", type="positive")

    def _copy(self) -> None:
        if self._desk.record is not None:
            path = share_address(self._visit, self._desk.record)
            ui.run_javascript(
                f"navigator.clipboard && navigator.clipboard.writeText(location.origin + {path!r})"
            )
            ui.notify(f"Link to {self._desk.record.name} v{self._desk.record.version} copied: {path}")

    async def _choose(self) -> None:
        with errors_shown():
            _ask("Saved support sets", await call(self._store.newest, doing="Reading the store"), self._load)

    async def _show_history(self) -> None:
        record = self._desk.record
        if record is None:
            return
        with errors_shown():
            found = await call(lambda: self._store.history(record.name), doing="Reading the store")
            _ask(f"Versions of {record.name}", found, self._load)


def _checked(name: object) -> str:
    try:
        return _NAME.validate_python(str(name or "").strip())
    except ValidationError as error:
        raise LabelError(
            "A support set needs a name of letters, digits, dots, hyphens or underscores.",
            safe="nothing was saved; what you labelled is on the page.",
            next_step="type one, such as oxide-film.",
        ) from error


def _ask(
    title: str,
    records: tuple[SupportSetRecord, ...],
    load: Callable[[SupportSetRecord], Awaitable[None]],
) -> None:
    with ui.dialog() as dialog, ui.card().classes("card studio-dialog"):
        dialog.props["aria-label"] = title
        heading(title)
        if not records:
            ui.label("Nothing was saved yet: label chips, give the set a name, and save it.").classes("muted")

        async def choose(record: SupportSetRecord) -> None:
            dialog.close()
            await load(record)

        with ui.element("div").classes("studio-list"):
            for record in records:
                with (
                    ui.element("button")
                    .props("type=button")
                    .classes("studio-version")
                    .on("click", lambda record=record: choose(record))
                ):
                    with ui.element("span").classes("line"):
                        ui.label(f"{record.name} v{record.version}").classes("what")
                        ui.label(f"{record.author}, {record.saved_utc:%Y-%m-%d %H:%M} UTC").classes("muted")
                    with ui.element("span").classes("line"):
                        for one in record.classes:
                            with ui.element("span").classes("studio-class-name"):
                                ui.element("span").classes("studio-swatch").style(f"background:{one.colour}")
                                ui.label(f"{one.name} {one.chips}")
                    if record.notes:
                        ui.label(record.notes).classes("muted")
        ui.button("Close", on_click=dialog.close).props("no-caps flat")
    dialog.open()
