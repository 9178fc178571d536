"""Keeps the map up to date while somebody labels: one computation at a time, always of the newest labels."""

from __future__ import annotations

import time

from nicegui import ui

from eucentric_core import EucentricError

from ...chips import MAP_TIMEOUT_S, shared_mapper
from ...site import call
from ._desk import Desk
from ._map_card import MapCard
from ._refusal import Refusal

__all__ = ["MapKeeper"]

_PERIOD_S = 0.05


class MapKeeper:
    """Looks twenty times a second whether something else is labelled than is mapped.

    Args:
        desk: that is worked at.
        card: where it says what is done.
    """

    def __init__(self, desk: Desk, card: MapCard) -> None:
        self._desk = desk
        self._card = card
        self._refusal: Refusal | None = None
        ui.timer(_PERIOD_S, self._keep)

    async def _keep(self) -> None:
        work = self._desk.work
        if work is None:
            labelling = self._desk.labelling
            self._card.show_state("" if labelling is None else "label more chips")
            return
        if self._desk.map_is_current:
            return
        if self._refusal is not None and self._refusal.holds_for(work, now_s=time.monotonic()):
            return
        self._card.show_state("computing…")
        started_s = time.perf_counter()
        try:
            mapped = await call(
                lambda: shared_mapper().map_frame(work.request()),
                timeout_s=MAP_TIMEOUT_S + 5,
                doing="The class map",
            )
        except EucentricError as error:
            self._refusal = Refusal.of(work, error, now_s=time.monotonic())
            self._card.show_state(self._refusal.words)
            self._card.show_problem(error)
            return
        self._card.show_problem(None)
        self._desk.take_map(work, mapped)
        chips = mapped.rows * mapped.columns
        self._card.show_state(f"{chips} chips in {time.perf_counter() - started_s:.1f} s, on this hub")
