"""What the stories of the demo have in common: options, phases, snapshots, marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from eucentric_core import FrozenModel, SteeringClient
from eucentric_models.metrics import total

from ._observer import Answer, Observer, Snapshot
from ._progress import Progress
from ._report import Phase
from ._stack import Stack

__all__ = ["DemoOptions", "PhaseBook", "Story", "phase_of"]


class DemoOptions(FrozenModel):
    """What the command line asked for."""

    instrument: str
    data: Path | None
    pixel_size_m: float | None
    seed: int
    home: Path
    config: Path | None
    picture: Path
    keep: bool


class PhaseBook:
    """Waits for the answers of a phase and keeps its figures, one frame of it, and where it began."""

    def __init__(self, observer: Observer, stack: Stack) -> None:
        self._observer = observer
        self._stack = stack
        self.phases: dict[str, Phase] = {}
        self.snapshots: dict[str, Snapshot] = {}
        self.marks: dict[str, int] = {}

    def fill(self, name: str, *, from_sequence: int, frames: int, timeout_s: float) -> None:
        """Wait for `frames` answers from a sequence number on and close the phase with them."""
        self._stack.wait_until(
            lambda: len(self._answers_from(from_sequence)) >= frames,
            what=f"the edge has answered {frames} frames ({name})",
            timeout_s=timeout_s,
        )
        self.phases[name] = phase_of(self._answers_from(from_sequence)[:frames])
        if (snapshot := self._observer.snapshot) is not None:
            self.snapshots[name] = snapshot

    def keep_frame(self, name: str, *, frames: int, timeout_s: float) -> None:
        """Wait for `frames` answers and keep the newest frame for the picture."""
        self._stack.wait_until(
            lambda: len(self._observer.answers) >= frames and self._observer.snapshot is not None,
            what=f"the edge has answered {frames} frames",
            timeout_s=timeout_s,
        )
        if (snapshot := self._observer.snapshot) is not None:
            self.snapshots[name] = snapshot

    def first_answer_of(self, version: int, *, timeout_s: float) -> int:
        """Wait for the first frame that a model version answers and return its sequence number."""
        self._stack.wait_until(
            lambda: self._observer.answers[-1].result.model_version == version,
            what=f"model version {version} answers frames",
            timeout_s=timeout_s,
        )
        return min(a.result.sequence for a in self._observer.answers if a.result.model_version == version)

    def _answers_from(self, sequence: int) -> list[Answer]:
        return [answer for answer in self._observer.answers if answer.result.sequence >= sequence]


class Story(Protocol):
    """A way through the loop on one kind of instrument. The demo calls its methods in this order."""

    session: str
    trigger_timeout_s: float
    trigger_required: bool
    """Whether the story makes no sense without a retraining."""

    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """Settings by section that this story fixes."""
        ...

    def policy(self) -> str:
        """The policy file (TOML) that closes the loop."""
        ...

    def bootstrap(self, home: Path) -> Sequence[str]:
        """Arguments of `eucentric flows bootstrap`: what the first champion is trained for."""
        ...

    def unsettle(self, scope: SteeringClient, book: PhaseBook, progress: Progress) -> None:
        """Open the session, show the champion at work, and bring it into conditions it may not know."""
        ...

    def carry_on(self, scope: SteeringClient) -> bool:
        """Scan again if the agent has stopped the scan; says whether it had."""
        ...

    def recover(self, scope: SteeringClient, book: PhaseBook, progress: Progress, version: int) -> None:
        """Show a new champion at work in the same conditions."""
        ...


def phase_of(answers: Sequence[Answer]) -> Phase:
    """The answers of one phase as one figure each; counts are summed over frames, not averaged."""
    scores = [answer.score for answer in answers if answer.score is not None]
    score = total(scores) if scores else None
    error_m = None if score is None else score.position_rmse_m
    return Phase(
        frames=len(answers),
        detections_per_frame=fmean(answer.detections for answer in answers),
        precision=None if score is None else score.precision,
        recall=None if score is None else score.recall,
        f1=None if score is None else score.f1,
        position_error_pm=None if error_m is None else error_m * 1e12,
        drift_score=fmean(answer.result.drift_score for answer in answers),
        uncertainty=fmean(answer.result.mean_uncertainty for answer in answers),
        model_version=answers[-1].result.model_version,
    )
