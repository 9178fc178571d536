"""Keeps the map up to date while somebody labels: one computation at a time, always of the newest labels."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Self

from nicegui import ui

from eucentric_core import EucentricError, ServiceUnavailableError

from ...chips import MAP_TIMEOUT_S, shared_mapper
from ...site import call
from ._desk import Desk, Work
from ._map_card import MapCard

__all__ = ["MapKeeper", "Refusal"]

_PERIOD_S = 0.05
_RETRY_S = 10.0
"""A hub that was too busy may be less so now."""


@dataclass(frozen=True)
class Refusal:
    """Labels of which no map came, and until when (monotonic seconds) they are not tried again."""

    work: Work
    until_s: float

    @classmethod
    def of(cls, work: Work, error: EucentricError, *, now_s: float) -> Self:
        """What these labels cannot give is not tried again until something else is labelled."""
        passes = isinstance(error, ServiceUnavailableError)
        return cls(work, now_s + _RETRY_S if passes else math.inf)

    @property
    def words(self) -> str:
        """What is said in place of the map."""
        return "no map" if math.isinf(self.until_s) else f"no map; tried again in {_RETRY_S:.0f} s"

    def holds_for(self, work: Work, *, now_s: float) -> bool:
        """Whether these labels are left alone for now."""
        return work == self.work and now_s < self.until_s


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
