"""Drift of a session by a saved support set: how much of each frame is none of its classes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from nicegui import ui

from eucentric_core import EucentricError

from ...chips import SessionImages, newest_sessions
from ...site import Visit, call, errors_shown
from ._drift_card import DriftCard
from ._source import SavedSet, map_by, spread_over_session

__all__ = ["SessionDrift"]

_MOST_FRAMES = 24


class SessionDrift:
    """A button that goes through a session, a frame at a time.

    Args:
        visit: whose repository.
        card: where the course is shown.
        chosen: the support set; None for the edge, which tells its drift itself.
    """

    def __init__(self, visit: Visit, card: DriftCard, *, chosen: Callable[[], SavedSet | None]) -> None:
        self._visit = visit
        self._card = card
        self._chosen = chosen
        self._running = False
        with card.actions:
            self._session = (
                ui.select([], label="Session").props("dense outlined options-dense").classes("maps-source")
            )
            self._go = ui.button("Go through it", icon="timeline", on_click=self._run).props(
                "no-caps dense outline"
            )
        self._sessions: dict[str, SessionImages] = {}
        self._missing = "The repository holds no session to go through."
        self.refresh()
        ui.timer(0, self._fill, once=True)

    def refresh(self) -> None:
        """Show whether there is something to go through."""
        chosen = self._chosen()
        shown = chosen is not None and bool(self._sessions)
        self._session.set_visibility(shown)
        self._go.set_visibility(shown)
        if chosen is not None:
            self._card.show(
                (),
                f"How much of each frame is none of the classes of {chosen.record.name}: choose a session."
                if self._sessions
                else self._missing,
            )

    async def _fill(self) -> None:
        try:
            found = await call(lambda: newest_sessions(self._visit.settings), doing="Reading the catalogue")
        except EucentricError as error:
            # A hub without a repository has maps all the same.
            self._missing = f"No session can be gone through: {error.what}"
            return
        self._sessions = {one.session: one for one in found}
        self._session.set_options(
            {one.session: one.title for one in found}, value=found[0].session if found else None
        )
        self.refresh()

    async def _run(self) -> None:
        chosen, one = self._chosen(), self._sessions.get(self._session.value)
        if chosen is None or one is None or self._running:
            return
        self._running = True
        self._go.set_enabled(False)
        points: list[tuple[int, float]] = []
        record = chosen.record
        about = f"Share of {one.session} that is none of the classes of {record.name} v{record.version}"
        try:
            with errors_shown():
                stream = one.streams[0]
                images = spread_over_session(
                    self._visit.settings, one.session, stream, one.first, one.last, most=_MOST_FRAMES
                )
                while (image := await call(lambda: next(images, None), doing="Reading a frame")) is not None:
                    mapped = await call(partial(map_by, chosen, image), timeout_s=65, doing="The class map")
                    if self._chosen() is not chosen:
                        return
                    points.append((image.origin.sequence or 0, mapped.shares[-1].area_fraction))
                    self._card.show(points, f"{about}: {len(points)} frames so far.")
                if points:
                    self._card.show(points, f"{about}: {len(points)} frames; {_course(points)}.")
        finally:
            self._running = False
            self._go.set_enabled(True)


def _course(points: Sequence[tuple[int, float]]) -> str:
    """First, last and largest share in words, for whoever does not see the chart."""
    told = dict.fromkeys((points[0], points[-1], max(points, key=lambda point: point[1])))
    return ", ".join(f"{share:.0%} of frame {number}".replace("%", " %") for number, share in told)
