"""Step 1: which image."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import events, ui

from ..._lengths import length_in_words
from ...chips import (
    MAX_UPLOAD_BYTES,
    READABLE,
    ImageUnreadableError,
    SessionImages,
    StudioImage,
    frame_of_session,
    newest_sessions,
    read_upload,
)
from ...site import Visit, call, errors_shown, heading
from ._desk import Desk

__all__ = ["ImageCard", "frozen_live"]


def frozen_live(visit: Visit) -> StudioImage:
    """The newest frame of the instrument, as it stays while it is labelled.

    Raises:
        ImageUnreadableError: no frame has come, or it cannot be labelled.
    """
    picture = visit.hub.picture()
    if picture is None:
        raise ImageUnreadableError(
            "There is no live image yet: no frame has come from the instrument.",
            safe="nothing was changed.",
            next_step="start a scan, or open an image of a session or a file.",
        )
    return StudioImage.of_frame(picture.frame, live=True)


class ImageCard:
    """Three ways to an image, and its pixel size."""

    def __init__(self, visit: Visit, desk: Desk) -> None:
        self._visit = visit
        self._desk = desk
        with ui.element("section").classes("card"):
            heading("1 · Image")
            with ui.element("div").classes("line studio-row"):
                ui.button("Freeze live image", icon="pause", on_click=self._freeze).props("no-caps dense")
                ui.button("From a session", icon="folder_open", on_click=self._choose_session).props(
                    "no-caps dense outline"
                )
                ui.button("Open a file", icon="upload_file", on_click=self._pick_file).props(
                    "no-caps dense outline"
                ).tooltip(f"{READABLE}; only this hub sees it")
            chooser = ui.upload(
                auto_upload=True,
                max_file_size=MAX_UPLOAD_BYTES,
                on_upload=self._upload,
                on_rejected=lambda: ui.notify(
                    f"The file is larger than {MAX_UPLOAD_BYTES >> 20} MiB.", type="negative"
                ),
            )
            chooser.classes("studio-hidden").props("aria-hidden=true")
            self._chooser = chooser
            self._about = ui.label().classes("muted")
            self._doubts = ui.label().classes("studio-doubt")
            self._size = ui.number(
                "Pixel size (pm)", format="%.4g", min=0.1, max=1e6, on_change=self._set_size
            ).props("dense outlined debounce=400")
            self._size.classes("studio-size")

    def refresh(self) -> None:
        """Show what is open."""
        image = self._desk.image
        self._size.set_visibility(image is not None)
        self._doubts.set_visibility(image is not None and bool(image.doubts) and image.pixel_size_m is None)
        if image is None:
            self._about.set_text("No image is open.")
            return
        ny, nx = image.shape_px
        width = "" if image.pixel_size_m is None else f" · {length_in_words(nx * image.pixel_size_m)} wide"
        self._about.set_text(f"{image.title} · {nx} × {ny} px{width}")
        self._doubts.set_text(" ".join(image.doubts))
        shown = None if image.pixel_size_m is None else round(image.pixel_size_m * 1e12, 4)
        if self._size.value != shown:
            self._size.set_value(shown)

    async def open(self, find: Callable[[], StudioImage], doing: str) -> None:
        """Open an image that is found on a thread."""
        with errors_shown():
            self._put(await call(find, timeout_s=60, doing=doing))

    def _pick_file(self) -> None:
        self._chooser.run_method("pickFiles")

    def _freeze(self) -> None:
        with errors_shown():
            self._put(frozen_live(self._visit))

    def _put(self, image: StudioImage) -> None:
        if left := self._desk.open_image(image):
            ui.notify(
                f"{left} labels of the image before were too few to keep: label two chips of two classes, "
                "and they go along.",
                type="warning",
            )

    async def _upload(self, event: events.UploadEventArguments) -> None:
        name, content = event.file.name, await event.file.read()
        self._chooser.reset()
        await self.open(lambda: read_upload(name, content), "Reading the file")

    def _set_size(self, event: events.ValueChangeEventArguments[float | None]) -> None:
        with errors_shown():
            self._desk.set_pixel_size(None if not event.value else float(event.value) * 1e-12)

    async def _choose_session(self) -> None:
        with errors_shown():
            found = await call(lambda: newest_sessions(self._visit.settings), doing="Reading the catalogue")
            if not found:
                raise ImageUnreadableError(
                    "The repository holds no images yet.",
                    safe="nothing was changed.",
                    next_step="freeze the live image, or open a file.",
                )
            SessionDialog(found, self._open_frame).open()

    async def _open_frame(self, session: str, stream: str, sequence: int) -> None:
        settings = self._visit.settings
        await self.open(lambda: frame_of_session(settings, session, stream, sequence), "Reading the frame")


class SessionDialog:
    """Which frame of which session.

    Args:
        sessions: to choose from, the newest first.
        chosen: told of session, stream and sequence number.
    """

    def __init__(
        self, sessions: tuple[SessionImages, ...], chosen: Callable[[str, str, int], Awaitable[None]]
    ) -> None:
        self._sessions = {one.session: one for one in sessions}
        self._chosen = chosen
        titles = {one.session: one.title for one in sessions}
        with ui.dialog() as self._dialog, ui.card().classes("card studio-dialog"):
            self._dialog.props["aria-label"] = "An image of a session"
            heading("An image of a session")
            self._session = ui.select(
                titles, label="Session", value=sessions[0].session, with_input=True, on_change=self._show
            ).classes("w-full")
            self._stream = ui.select([], label="Stream").classes("w-full")
            self._number = ui.number("Frame", min=0, step=1, format="%d").classes("w-full")
            with ui.element("div").classes("line spread w-full"):
                ui.button("Close", on_click=self._dialog.close).props("no-caps flat")
                ui.button("Open", icon="folder_open", on_click=self._open).props("no-caps")
        self._show()

    def open(self) -> None:
        """Ask."""
        self._dialog.open()

    def _show(self) -> None:
        one = self._sessions[self._session.value]
        self._stream.set_options(list(one.streams), value=one.streams[0])
        self._number.set_value(one.last)
        self._number.props(f"hint='{one.first} to {one.last}'")

    async def _open(self) -> None:
        self._dialog.close()
        await self._chosen(self._session.value, self._stream.value, int(self._number.value or 0))
