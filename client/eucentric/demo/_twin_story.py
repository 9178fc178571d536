"""The story on the digital twin: sharp at first, then drift, then the loop closes by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from eucentric_core import SteeringClient
from eucentric_core.vocabulary import ScanStream, SimulationDrift
from eucentric_models.demo_conditions import DEMO_CONDITIONS

from ._progress import Progress
from ._story import DemoOptions, PhaseBook

__all__ = ["TwinStory"]

_FRAMES_PER_S = 6.0
"""Slow enough that two cores also train an ensemble meanwhile."""

_PHASE_FRAMES = 24
_DRIFT_FRAMES = 10
_PHASE_TIMEOUT_S = 300.0
_BEAM_ON_S = 900.0


class TwinStory:
    """Plays the operator: opens a session, lets the conditions drift, and then only watches."""

    session = "demo-session"
    trigger_timeout_s = 300.0
    trigger_required = True

    def __init__(self, options: DemoOptions) -> None:
        self._seed = options.seed
        self._begun = False

    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """The twin with the demo's initial imaging conditions."""
        start = DEMO_CONDITIONS.initial
        driver = {
            "seed": self._seed,
            "material": DEMO_CONDITIONS.material,
            # 60 kV lies below the threshold for ejecting sulphur, so that the specimen stays what it is
            # and only the imaging conditions drift.
            "specimen": {"knock_on_cross_section_m2": 0.0},
            "column": {
                "high_tension_v": 60e3,
                "field_of_view_m": start.pixel_size_m * DEMO_CONDITIONS.shape[1],
                "probe_sigma_m": start.probe_sigma_m,
                "defocus_m": start.defocus_m,
                "convergence_angle_rad": start.convergence_angle_rad,
                "beam_current_a": start.beam_current_a,
                "jitter_rms_px": start.jitter_rms_px,
            },
        }
        return {"agent": {"name": "twin-1", "instrument": "twin", "frames_per_shard": 8, "driver": driver}}

    def policy(self) -> str:
        """Retrain when frames have left what the model knows and the model has become less sure."""
        text = (files(__package__) / "policies" / "twin.toml").read_text(encoding="utf-8")
        # Else the training's chance would come from the event that triggers it, another in every demo.
        return f"{text}\n[action.parameters]\nseed = {self._seed}\n"

    def bootstrap(self, home: Path) -> Sequence[str]:
        """The first champion knows simulated frames around the initial conditions."""
        return ("--seed", str(self._seed))

    def unsettle(self, scope: SteeringClient, book: PhaseBook, progress: Progress) -> None:
        """Score the champion on the conditions it was made for, then let them drift and score it again."""
        with progress.stage("observe", "the champion answers frames of the conditions it knows"):
            self._begin(scope)
            book.fill("before drift", from_sequence=0, frames=_PHASE_FRAMES, timeout_s=_PHASE_TIMEOUT_S)
        with progress.stage("drift", "field of view, focus and beam current drift away"):
            book.marks["drift begins"] = scope.state().next_sequence
            self._drift(scope)
            drifted = book.marks["drift begins"] + _DRIFT_FRAMES
            book.fill("after drift", from_sequence=drifted, frames=_PHASE_FRAMES, timeout_s=_PHASE_TIMEOUT_S)

    def recover(self, scope: SteeringClient, book: PhaseBook, progress: Progress, version: int) -> None:
        """Score the new champion on the drifted conditions."""
        with progress.stage("recover", "the new champion answers frames of the drifted conditions"):
            first = book.first_answer_of(version, timeout_s=_PHASE_TIMEOUT_S)
            book.marks[f"model v{version}"] = first
            book.fill(
                "after retraining", from_sequence=first, frames=_PHASE_FRAMES, timeout_s=_PHASE_TIMEOUT_S
            )

    def _begin(self, scope: SteeringClient) -> None:
        scope.start_session(self.session, sample="twin-sample", material=DEMO_CONDITIONS.material)
        self._scan(scope)
        self._begun = True

    def carry_on(self, scope: SteeringClient) -> bool:
        """Unblank and scan again: an agent that has not heard of its operator for two seconds stops both."""
        if not self._begun:
            return False
        state = scope.state()
        if state.scanning and not state.beam_blanked:
            return False
        self._scan(scope)
        return True

    @staticmethod
    def _scan(scope: SteeringClient) -> None:
        ny, nx = DEMO_CONDITIONS.shape
        scope.unblank(max_duration_s=_BEAM_ON_S)
        scope.stream(
            ScanStream(
                height_px=ny,
                width_px=nx,
                dwell_time_s=DEMO_CONDITIONS.initial.dwell_time_s,
                max_frames_per_s=_FRAMES_PER_S,
            )
        )

    @staticmethod
    def _drift(scope: SteeringClient) -> None:
        start, end = DEMO_CONDITIONS.initial, DEMO_CONDITIONS.drifted
        scope.execute(
            SimulationDrift(
                field_of_view_factor=end.pixel_size_m / start.pixel_size_m,
                defocus_change_m=end.defocus_m - start.defocus_m,
                beam_current_factor=end.beam_current_a / start.beam_current_a,
                over_frames=_DRIFT_FRAMES,
            )
        )
