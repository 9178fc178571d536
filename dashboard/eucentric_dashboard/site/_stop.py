"""Safe stop on every page: never disabled, never behind anything else; Esc Esc does the same."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from nicegui import ui
from nicegui.events import KeyEventArguments

from eucentric_core import utc_now

from .._hub import LiveHub
from .._safe_stop import DoubleEscape

__all__ = ["StopPart"]

_STOP_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="safe-stop")
"""Of its own, so that a stop never queues behind what else the page does in threads."""

_OUTCOME_SHOWN = timedelta(minutes=5)


class StopPart:
    """The button, the keys, and what came of them. Needs no role and no login that still lasts.

    Args:
        hub: of the instrument.
        name: whose page it is, for the audit log.
    """

    def __init__(self, hub: LiveHub, name: str) -> None:
        self._hub = hub
        self._name = name
        self._escape = DoubleEscape()
        with ui.element("div").classes("stop"):
            ui.button("Safe stop", on_click=self._stop, color=None).props("no-caps").mark("safe-stop")
            ui.label("beam, scan, stage · Esc Esc").classes("hint")
        with ui.element("div").classes("outcome-place"):
            self._outcome = ui.label().classes("outcome").props("role=alert").mark("stop-outcome")
        self._outcome.set_visibility(False)
        # Escape works wherever the focus is: nothing is exempt.
        ui.keyboard(on_key=self._on_key, repeating=False, ignore=[])

    async def _on_key(self, event: KeyEventArguments) -> None:
        if event.action.keydown and event.key.escape and self._escape.press(now_s=time.monotonic()):
            await self._stop()

    async def _stop(self) -> None:
        self._say("Safe stop sent; waiting for the agent's answer.", failed=False)
        stop = self._hub.safe_stop
        outcome = await asyncio.get_running_loop().run_in_executor(_STOP_THREADS, stop, self._name)
        self._say(outcome.words, failed=not outcome.confirmed)

    def _say(self, words: str, *, failed: bool) -> None:
        self._outcome.set_visibility(True)
        self._outcome.set_text(words)
        self._outcome.classes(add="failed") if failed else self._outcome.classes(remove="failed")

    def refresh(self) -> None:
        """Show what came of the last stop, whoever pressed it."""
        last = self._hub.safe_stop.last
        if last is None:
            return
        self._say(f"{last.at_utc:%H:%M:%S} UTC · {last.words}", failed=not last.confirmed)
        if utc_now() - last.at_utc > _OUTCOME_SHOWN:
            self._outcome.set_visibility(False)
