"""The card of the live image: the view itself, and the figures beside it."""

from __future__ import annotations

from nicegui import ui

from ..._hub import LiveHub
from ..._words import STALE_S, age_in_words
from ...site import Tile, heading
from ._view import LiveView

__all__ = ["LivePanel"]


class LivePanel:
    """`refresh` once a second; the image itself does not wait for it."""

    def __init__(self, hub: LiveHub) -> None:
        self._hub = hub
        with ui.element("section").classes("card"):
            with ui.element("div").classes("line spread"):
                heading("Live image")
                with ui.element("div").classes("facts figures"):
                    self._rate = Tile("Acquired")
                    self._latency = Tile(
                        "Edge p50 / p99", tip="time from frame to answer at the edge, over the last answers"
                    )
                    self._drift = Tile("Drift score", tip="1.0 is the edge of what the model was trained on")
                    self._model = Tile("Model")
                    self._skipped = Tile(
                        "Skipped here",
                        tip="frames this dashboard skipped, not to slow the acquisition; all are recorded",
                    )
            LiveView(hub.settings.agent.name).mark("live-view")

    def refresh(self) -> None:
        """Show the figures of this moment."""
        figures = self._hub.figures()
        if figures.frame_age_s is None:
            self._rate.show(None)
            self._skipped.show(None)
        else:
            fresh = figures.frame_age_s <= STALE_S
            last = f"last {age_in_words(figures.frame_age_s)} ago"
            self._rate.show(f"{figures.frames_per_s:.1f} / s" if fresh else last, "" if fresh else "warn")
            self._skipped.show(f"{figures.skipped_frames}")
        answer = figures.last_answer
        if answer is None or not self._hub.edge.online:
            for tile in (self._latency, self._drift, self._model):
                tile.show(None)
            return
        p50, p99 = figures.latency_p50_s or 0.0, figures.latency_p99_s or 0.0
        self._latency.show(f"{p50 * 1e3:.0f} / {p99 * 1e3:.0f} ms")
        self._drift.show(f"{answer.drift_score:.2f}", "warn" if answer.drift_score > 1 else "good")
        self._model.show(f"{self._hub.settings.edge.model} v{answer.model_version}")
