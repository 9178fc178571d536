"""Above what a service said last: that it does not answer now, and how old this is."""

from __future__ import annotations

import time
from typing import Any

from nicegui import ui

from eucentric_core import EucentricError, ServiceUnavailableError, TransportError

from .._watch import Reading
from .._words import age_in_words
from ..site import error_panel, offline_panel

__all__ = ["ReadingNotice"]


class ReadingNotice:
    """`show` at every look. Takes no room while all is well.

    Args:
        service: what is read, such as `MLflow`.
        back: what brings it back.
    """

    def __init__(self, service: str, *, back: str) -> None:
        self._service = service
        self._back = back
        self._shown: str | None = None
        self._place = ui.element("div").classes("notices")
        self._age: ui.label | None = None

    def show(self, reading: Reading[Any]) -> None:
        """Tell of this reading."""
        what = None if reading.error is None else reading.error.what
        if what != self._shown:
            self._shown = what
            self._place.clear()
            self._age = None
            if reading.error is not None:
                with self._place, self._panel(reading.error):
                    self._age = ui.label().classes("then")
        if self._age is not None:
            old = "Nothing was read yet."
            if reading.read_s is not None:
                old = f"What is shown below is {age_in_words(time.monotonic() - reading.read_s)} old."
            self._age.set_text(f"{old} This page looks again by itself.")

    def _panel(self, error: EucentricError) -> ui.element:
        away = isinstance(error, ServiceUnavailableError | TransportError)
        return offline_panel(self._service, error, back=self._back) if away else error_panel(error)
