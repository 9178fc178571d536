"""The status strip of every page: what is true of the instrument now, who steers, and Safe stop."""

from __future__ import annotations

from nicegui import ui

from .._watch import AgentStatus
from .._words import STALE_S, age_in_words
from ._facts import dose_in_words, dose_share, stage_in_words, tension_in_words
from ._lease import LeasePart
from ._stop import StopPart
from ._tile import Tile, Tone
from ._visit import Visit
from ._whose import build_instrument_chooser, build_whose

__all__ = ["StatusStrip"]

_NEARLY = 0.8


class StatusStrip:
    """Header of every page. `refresh` twice a second.

    Args:
        visit: whose page it is, and of which instrument.
    """

    def __init__(self, visit: Visit) -> None:
        hub = self._hub = visit.hub
        with ui.header(elevated=False).classes("strip"):
            ui.html('<a class="skip" href="#content">Skip to the page</a>', sanitize=False).classes("skipper")
            with ui.element("div").classes("facts"):
                build_instrument_chooser(visit)
                self._simulated = ui.label("SIMULATED").classes("simulated").mark("simulated")
                self._untested = ui.label("UNTESTED ON HARDWARE").classes("simulated").mark("untested")
                self._beam = Tile("Beam")
                self._tension = Tile("High tension")
                self._stage = Tile("Stage", tip="x y z in µm as the stage reports, and its tilts")
                self._dose = Tile(
                    "Dose / limit", tip="electrons per square ångström on the present field of view"
                )
                self._scan = Tile("Scan")
                self._session = Tile("Session")
                self._model = Tile("Model")
                self._lease = LeasePart(visit)
            with ui.element("div").classes("right"):
                build_whose(visit)
                self._stop = StopPart(hub, visit.person.name)
        self._simulated.set_visibility(False)
        self._untested.set_visibility(False)

    def refresh(self) -> None:
        """Show the facts of this moment."""
        agent = self._hub.agent
        status = agent.value if agent.online else None
        picture = self._hub.picture()
        simulated = picture is not None and picture.frame.header.simulated
        self._simulated.set_visibility(simulated or (status is not None and status.state.simulated))
        self._show_instrument(status)
        self._show_scan(status)
        self._lease.refresh(status, read_s=agent.read_s)
        self._stop.refresh()

    def _show_instrument(self, status: AgentStatus | None) -> None:
        if status is None:
            for tile in (self._tension, self._stage, self._dose, self._session):
                tile.show(None)
            self._beam.show("unknown", "warn")
            return
        state, limit = status.state, status.dose_limit_e_per_a2
        self._untested.set_visibility(status.capabilities.untested_on_hardware)
        self._beam.show(*(("blanked", "good") if state.beam_blanked else ("ON SAMPLE", "warn")))
        self._tension.show(tension_in_words(state.optics.high_tension_v))
        self._stage.show(stage_in_words(state.stage))
        share = dose_share(state.dose_e_per_a2, limit)
        tone: Tone = "" if share is None or share < _NEARLY else "warn" if share < 1 else "alarm"
        self._dose.show(dose_in_words(state.dose_e_per_a2, limit), tone)
        self._session.show(state.session or "none")

    def _show_scan(self, status: AgentStatus | None) -> None:
        figures = self._hub.figures()
        answer = figures.last_answer
        if answer is None or not self._hub.edge.online:
            self._model.show(None)
        else:
            self._model.show(f"{self._hub.settings.edge.model} v{answer.model_version}")
        if status is None:
            self._scan.show(None)
        elif not status.state.scanning:
            self._scan.show("stopped")
        elif figures.frame_age_s is None or figures.frame_age_s <= STALE_S:
            self._scan.show(f"{figures.frames_per_s:.1f} frames/s")
        else:
            self._scan.show(f"last frame {age_in_words(figures.frame_age_s)} ago", "warn")
