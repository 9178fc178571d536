"""When frames have left what the model knows and it shows in the results: pure decisions on a window.

A shift alone need not do harm (an unseen lattice may be segmented perfectly), hence two gates: the drift
score *and* the entropy of the answers, both as medians over a full window. One event is raised per
episode; the episode ends when the frames are clearly back to normal, or with the next installation,
which starts over with `DriftState()`.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Annotated

from pydantic import Field

from eucentric_core import FrozenModel

__all__ = ["DriftEpisode", "DriftGates", "DriftState", "Observation", "observe"]


class DriftGates(FrozenModel):
    """When drift counts.

    Attributes:
        window_frames: how many frames are looked at together.
        drift_score_limit: 1.0 is the edge of normal, see `eucentric_models.DriftReference`.
        entropy_ratio_limit: mean entropy over that of the reference; 1.0 is as sure as ever.
        recovered_share: the episode is over when the median drift score falls below this share of its
            limit; the gap keeps a score that hovers at the limit from raising event after event.
    """

    window_frames: Annotated[int, Field(ge=1, le=4096)] = 8
    drift_score_limit: Annotated[float, Field(gt=0)] = 1.0
    entropy_ratio_limit: Annotated[float, Field(gt=0)] = 1.3
    recovered_share: Annotated[float, Field(gt=0, le=1)] = 0.8


@dataclass(frozen=True, slots=True)
class Observation:
    """What one frame contributes."""

    session: str
    sequence: int
    drift_score: float
    entropy_ratio: float


@dataclass(frozen=True, slots=True)
class DriftState:
    """The last frames of one session, oldest first, and whether their episode was reported."""

    window: tuple[Observation, ...] = ()
    reported: bool = False

    @property
    def drift_score(self) -> float:
        """Median drift score of the window; 0 when it is empty."""
        return median(seen.drift_score for seen in self.window) if self.window else 0.0

    @property
    def entropy_ratio(self) -> float:
        """Median entropy ratio of the window; 0 when it is empty."""
        return median(seen.entropy_ratio for seen in self.window) if self.window else 0.0


@dataclass(frozen=True, slots=True)
class DriftEpisode:
    """A drift that has just been established. `first_sequence` is the first drifted frame of the window."""

    session: str
    first_sequence: int
    sequence: int
    drift_score: float
    entropy_ratio: float


def observe(
    state: DriftState, seen: Observation, gates: DriftGates
) -> tuple[DriftState, DriftEpisode | None]:
    """Take one frame into account.

    Returns:
        The next state, and the episode if this frame is the one that establishes it.
    """
    # Another session is another sample: its frames say nothing about those before.
    same_session = bool(state.window) and state.window[-1].session == seen.session
    before = state.window if same_session else ()
    now = DriftState((*before, seen)[-gates.window_frames :], state.reported)
    if len(now.window) < gates.window_frames:
        return now, None
    if now.reported:
        recovered = now.drift_score < gates.recovered_share * gates.drift_score_limit
        return DriftState(now.window, reported=not recovered), None
    if now.drift_score <= gates.drift_score_limit or now.entropy_ratio <= gates.entropy_ratio_limit:
        return now, None
    first = next(each for each in now.window if each.drift_score > gates.drift_score_limit)
    episode = DriftEpisode(
        session=seen.session,
        first_sequence=first.sequence,
        sequence=seen.sequence,
        drift_score=now.drift_score,
        entropy_ratio=now.entropy_ratio,
    )
    return DriftState(now.window, reported=True), episode
