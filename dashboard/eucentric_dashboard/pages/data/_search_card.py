"""Searching the catalogue, and what was found, with a picture of each."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote

from nicegui import ui

from eucentric_core import EucentricError
from eucentric_data_repository import DatasetEntry, SearchQuery, SearchResult

from ...site import call, empty_panel, error_panel, heading
from ...widgets import chip, moment
from ._query import query_of
from ._source import DataSource

__all__ = ["SearchCard", "picture_address"]

_PAGE = 24
_FIELDS = ("text", "session", "sample", "material", "instrument", "tags", "since", "until")
_HINTS = {"text": "in names, tags, notes", "tags": "a, b", "since": "2026-03-01", "until": "2026-03-31"}


def picture_address(dataset_id: str) -> str:
    """Where the thumbnail of a data set is fetched."""
    return f"/data/thumbnail/{quote(dataset_id)}.jpg"


class SearchCard:
    """`look` every few seconds; what was typed is searched at once.

    Args:
        source: of the site.
        on_open: told the data set to show.
    """

    def __init__(self, source: DataSource, *, on_open: Callable[[str], object]) -> None:
        self._source = source
        self._on_open = on_open
        self._offset = 0
        self._result: SearchResult | None = None
        self._waiting: dict[str, ui.element] = {}
        with ui.element("section").classes("card"):
            heading("Data sets")
            with ui.element("div").classes("form filters"):
                self._typed = {name: self._field(name) for name in _FIELDS}
                kinds = {"": "measured and simulated", "measured": "measured", "simulated": "simulated"}
                self._kind = ui.select(kinds, value="", label="Kind", on_change=self._search)
                orders = ["newest", "oldest", "name", "largest"]
                self._order = ui.select(orders, value="newest", label="Order", on_change=self._search)
                for select in (self._kind, self._order):
                    select.props("outlined dense options-dense").classes("field")
            self._count = ui.label().classes("muted").props("role=status").mark("count")
            self._place = ui.element("div").style("width:100%").mark("found")
            with ui.element("div").classes("line"):
                self._back = ui.button("Newer", on_click=lambda: self._turn(-_PAGE)).props(
                    "flat dense no-caps"
                )
                self._on = ui.button("Older", on_click=lambda: self._turn(_PAGE)).props("flat dense no-caps")

    def _field(self, name: str) -> ui.input:
        field = ui.input(name.capitalize(), on_change=self._search, placeholder=_HINTS.get(name))
        return field.props("outlined dense debounce=300 clearable").classes("field").mark(f"find-{name}")

    async def _search(self) -> None:
        self._offset = 0
        await self.look()

    async def _turn(self, by: int) -> None:
        self._offset = max(0, self._offset + by)
        await self.look()

    def _query(self) -> SearchQuery:
        typed = {name: field.value for name, field in self._typed.items()}
        return query_of(
            {**typed, "kind": self._kind.value, "order": self._order.value}, limit=_PAGE, offset=self._offset
        )

    async def look(self) -> None:
        """Search again with what is typed; show it if it is not what is shown."""
        try:
            query = self._query()
            result = await call(lambda: self._source.search(query), doing="The search")
        except EucentricError as error:
            self._result = None
            self._count.set_text("")
            self._place.clear()
            with self._place:
                error_panel(error)
            return
        if result != self._result:
            self._result = result
            self._show(result)

    def refresh_pictures(self) -> None:
        """Put pictures in that were made meanwhile."""
        for dataset_id, place in list(self._waiting.items()):
            why = self._source.thumbnails.why_without(dataset_id)
            if self._source.thumbnails.find(dataset_id) is not None:
                self._picture(dataset_id, place)
            elif why is not None:
                place.clear()
                with place:
                    ui.label(why).classes("muted")
                del self._waiting[dataset_id]

    def _picture(self, dataset_id: str, place: ui.element) -> None:
        self._waiting.pop(dataset_id, None)
        place.clear()
        with place:
            ui.element("img").props(f'src="{picture_address(dataset_id)}" alt="" loading=lazy')

    def _show(self, result: SearchResult) -> None:
        self._waiting = {}
        self._place.clear()
        last = result.offset + len(result.datasets)
        self._count.set_text(
            f"{result.offset + 1} to {last} of {result.total}" if result.datasets else "nothing found"
        )
        self._back.set_visibility(result.offset > 0)
        self._on.set_visibility(last < result.total)
        with self._place:
            if not result.datasets:
                empty_panel(
                    "No data set fits.",
                    "Recordings appear once the repository has checked them. Clear the search to see all.",
                    icon="image_search",
                )
                return
            with ui.element("ul").classes("sessions"):
                for entry in result.datasets:
                    self._entry(entry)

    def _entry(self, entry: DatasetEntry) -> None:
        dataset_id = entry.dataset_id
        with ui.element("li"), ui.element("button").classes("session") as button:
            button.props(f'type=button aria-label="Show {dataset_id}"').mark(f"dataset-{dataset_id}")
            button.on("click", lambda: self._on_open(dataset_id))
            picture = ui.element("div").classes("thumb")
            self._waiting[dataset_id] = picture
            if self._source.thumbnails.find(dataset_id) is not None:
                self._picture(dataset_id, picture)
            ui.label(entry.session).classes("session-name")
            began = entry.first_acquired_utc or entry.first_registered_utc
            ui.label(f"{entry.instrument} · {moment(began)}").classes("muted")
            facts = (
                entry.sample,
                entry.material,
                f"{entry.frames} frames",
                f"{entry.size_bytes / 2**20:.1f} MiB",
            )
            ui.label(" · ".join(filter(None, facts))).classes("muted")
            with ui.element("div").classes("steps"):
                chip(entry.state, "done" if entry.state == "complete" else "active")
                if entry.simulated:
                    chip("SIMULATED", "waiting")
                if entry.missing:
                    chip(f"{entry.missing} missing", "failed")
                for tag in entry.tags[:4]:
                    chip(tag)
