"""The status strip: what is true of the instrument now, and Safe stop."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Literal

from nicegui import ui
from nicegui.events import KeyEventArguments

from eucentric_core import utc_now

from ._hub import LiveHub
from ._safe_stop import DoubleEscape
from ._watch import AgentStatus
from ._words import STALE_S, age_in_words

__all__ = ["StatusStrip"]

_STOP_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="safe-stop")
"""Of its own, so that a stop never queues behind what else the page does in threads."""

_OUTCOME_SHOWN = timedelta(minutes=5)

_Tone = Literal["", "good", "warn", "alarm", "unknown"]
_TONES = "good warn alarm unknown"


class _Tile:
    def __init__(self, name: str, *, tip: str = "") -> None:
        with ui.element("div").classes("tile"):
            ui.label(name).classes("name")
            self._value = ui.label("—").classes("value unknown").mark(name)
            if tip:
                self._value.tooltip(tip)

    def show(self, text: str | None, tone: _Tone = "") -> None:
        self._value.set_text(text if text is not None else "—")
        self._value.classes(remove=_TONES, add="unknown" if text is None else tone)


class StatusStrip:
    """Header of every page. `refresh` twice a second.

    Args:
        hub: where the facts come from.
    """

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        self._escape = DoubleEscape()
        with ui.header(elevated=False).classes("strip"):
            with ui.element("div").classes("facts"):
                self._instrument = ui.label(hub.settings.agent.name).classes("instrument").mark("instrument")
                self._simulated = ui.label("SIMULATED").classes("simulated").mark("simulated")
                self._untested = ui.label("UNTESTED ON HARDWARE").classes("simulated").mark("untested")
                self._untested.set_visibility(False)
                self._beam = _Tile("Beam")
                self._scan = _Tile("Scan")
                self._session = _Tile("Session")
                self._dose = _Tile("Dose", tip="electrons per square ångström on the present field of view")
                self._lease = _Tile(
                    "Steering", tip="who holds the control lease, and for how long without renewal"
                )
                self._model = _Tile("Model")
                self._latency = _Tile(
                    "Edge p50 / p99", tip="time from frame to answer at the edge, over the last answers"
                )
                self._drift = _Tile("Drift score", tip="1.0 is the edge of what the model was trained on")
                self._rate = _Tile("Frames / s")
                self._skipped = _Tile(
                    "Not shown",
                    tip="frames this view skipped so as not to slow the acquisition; all are recorded",
                )
            with ui.element("div").classes("stop"):
                ui.button("Safe stop", on_click=self._stop, color=None).props("no-caps").mark("safe-stop")
                ui.label("beam, scan, stage · Esc Esc").classes("hint")
            self._outcome = ui.label().classes("outcome").props("role=alert").mark("stop-outcome")
            self._outcome.set_visibility(False)
        # Escape works wherever the focus is: nothing is exempt.
        ui.keyboard(on_key=self._on_key, repeating=False, ignore=[])

    async def _on_key(self, event: KeyEventArguments) -> None:
        if event.action.keydown and event.key.escape and self._escape.press(now_s=time.monotonic()):
            await self._stop()

    async def _stop(self) -> None:
        self._say("Safe stop sent; waiting for the agent's answer.", failed=False)
        outcome = await asyncio.get_running_loop().run_in_executor(_STOP_THREADS, self._hub.safe_stop)
        self._say(outcome.words, failed=not outcome.confirmed)

    def _say(self, words: str, *, failed: bool) -> None:
        self._outcome.set_visibility(True)
        self._outcome.set_text(words)
        self._outcome.classes(add="failed") if failed else self._outcome.classes(remove="failed")

    def refresh(self) -> None:
        """Show the facts of this moment."""
        agent = self._hub.agent
        self._show_agent(agent.value if agent.online else None, read_s=agent.read_s)
        self._show_edge()
        last = self._hub.safe_stop.last
        if last is None:
            return
        self._say(f"{last.at_utc:%H:%M:%S} UTC · {last.words}", failed=not last.confirmed)
        if utc_now() - last.at_utc > _OUTCOME_SHOWN:
            self._outcome.set_visibility(False)

    def _show_agent(self, status: AgentStatus | None, *, read_s: float | None) -> None:
        picture = self._hub.picture()
        simulated = picture is not None and picture.frame.header.simulated
        self._simulated.set_visibility(simulated or (status is not None and status.state.simulated))
        if picture is not None:
            self._instrument.set_text(picture.frame.header.instrument)
        if status is None:
            for tile in (self._beam, self._scan, self._session, self._dose, self._lease):
                tile.show(None)
            self._beam.show("unknown", "warn")
            return
        state, lease = status.state, status.lease
        self._untested.set_visibility(status.capabilities.untested_on_hardware)
        self._instrument.set_text(status.capabilities.instrument)
        self._beam.show(*(("blanked", "good") if state.beam_blanked else ("ON SAMPLE", "warn")))
        self._scan.show("running" if state.scanning else "stopped")
        self._session.show(state.session or "none")
        self._dose.show(_dose_in_words(state.dose_e_per_a2))
        left_s = max(0.0, lease.remaining_s - (time.monotonic() - (read_s or time.monotonic())))
        self._lease.show(f"{lease.holder} · {left_s:.0f} s" if lease.holder else "nobody")

    def _show_edge(self) -> None:
        figures = self._hub.figures()
        fresh = figures.frame_age_s is not None and figures.frame_age_s <= STALE_S
        answer = figures.last_answer
        if figures.frame_age_s is None:
            self._rate.show(None)
            self._skipped.show(None)
        else:
            last = f"last {age_in_words(figures.frame_age_s)} ago"
            self._rate.show(f"{figures.frames_per_s:.1f}" if fresh else last, "" if fresh else "warn")
            self._skipped.show(f"{figures.skipped_frames}")
        if answer is None or not self._hub.edge.online:
            for tile in (self._model, self._latency, self._drift):
                tile.show(None)
            return
        self._model.show(f"{self._hub.settings.edge.model} v{answer.model_version}")
        p50, p99 = figures.latency_p50_s or 0.0, figures.latency_p99_s or 0.0
        self._latency.show(f"{p50 * 1e3:.0f} / {p99 * 1e3:.0f} ms")
        self._drift.show(f"{answer.drift_score:.2f}", "warn" if answer.drift_score > 1 else "good")


def _dose_in_words(dose_e_per_a2: float | None) -> str:
    if dose_e_per_a2 is None:
        return "unknown"
    return f"{dose_e_per_a2:,.0f} e/Å²" if dose_e_per_a2 >= 100 else f"{dose_e_per_a2:.3g} e/Å²"
