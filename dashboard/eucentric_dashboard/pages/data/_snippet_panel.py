"""How to open a data set elsewhere: lines to copy, or a notebook to take away."""

from __future__ import annotations

from html import escape

from nicegui import ui

from eucentric_data_repository import Database

from ._snippets import SNIPPETS, notebook, snippet

__all__ = ["SnippetPanel"]


class SnippetPanel:
    """Built in the present place.

    Args:
        dataset_id: which data set.
        stream: of images.
        database: of the catalogue that lists it.
    """

    def __init__(self, dataset_id: str, stream: str, database: Database) -> None:
        self._dataset_id = dataset_id
        self._stream = stream
        self._database = database
        with ui.element("div").classes("line"):
            self._kind = ui.toggle(SNIPPETS, value="hyperspy", on_change=self._show)
            self._kind.props("dense no-caps unelevated").mark("snippet-kind")
            copy = ui.button("Copy", icon="content_copy", on_click=self._copy)
            take = ui.button("Notebook", icon="download", on_click=self._download)
            for button, name in ((copy, "copy"), (take, "notebook")):
                button.props("flat dense no-caps").mark(name)
        self._place = ui.element("div").style("width:100%")
        self._show()

    def _cells(self) -> tuple[str, ...]:
        return snippet(str(self._kind.value), self._dataset_id, self._stream, self._database)

    def _show(self) -> None:
        self._place.clear()
        with self._place:
            lines = escape("\n".join(self._cells()))
            ui.html(
                f"<pre tabindex=0 role=region aria-label='Lines to copy'>{lines}</pre>", sanitize=False
            ).classes("snippet")

    def _copy(self) -> None:
        ui.clipboard.write("\n".join(self._cells()))
        ui.notify("Copied.", type="positive")

    def _download(self) -> None:
        ui.download.content(
            notebook(self._dataset_id, self._cells()), f"{self._dataset_id}-{self._kind.value}.ipynb"
        )
