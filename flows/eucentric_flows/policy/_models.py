"""Policies as declared data: when to act, what holds an action back, and what is done."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import ceil
from typing import Annotated, Literal, Self

from pydantic import Field, JsonValue, model_validator

from eucentric_core import AnyEvent, EucentricError, FrozenModel, Identifier, UtcDatetime
from eucentric_model_registry import Gates

from ._inputs import KNOWN_INPUTS, InputSource

__all__ = [
    "DatasetTrigger",
    "Decision",
    "DriftTrigger",
    "FramesTrigger",
    "Guards",
    "PastRun",
    "Policy",
    "PolicyError",
    "RetrainAction",
    "RetrainRequest",
]

_DAY_S = 86_400.0


class PolicyError(EucentricError):
    """A policy file cannot be used."""

    code = "policy"


class DriftTrigger(FrozenModel):
    """The edge reports drift of the policy's model with at least this score (1 is the edge of normal)."""

    kind: Literal["drift"] = "drift"
    min_score: Annotated[float, Field(ge=0, le=1e6)] = 1.0
    material: Identifier | None = None


class DatasetTrigger(FrozenModel):
    """A recording of a material is complete in the catalogue, with at least `min_frames` frames."""

    kind: Literal["dataset"] = "dataset"
    material: Identifier
    min_frames: Annotated[int, Field(ge=1, le=10**9)] = 1


class FramesTrigger(FrozenModel):
    """At least `count` frames of a material were registered within `within_s`.

    They are counted in shards, the unit that the repository registers; `frames_per_shard` is the agent's.
    """

    kind: Literal["frames"] = "frames"
    material: Identifier
    count: Annotated[int, Field(ge=1, le=10**9)]
    frames_per_shard: Annotated[int, Field(ge=1, le=4096)] = 16
    within_s: Annotated[float, Field(gt=0, le=30 * _DAY_S)] = _DAY_S

    @property
    def shards(self) -> int:
        """How many shards that is."""
        return ceil(self.count / self.frames_per_shard)


Trigger = Annotated[DriftTrigger | DatasetTrigger | FramesTrigger, Field(discriminator="kind")]


class Guards(FrozenModel):
    """What holds an action back. One run per model at a time is not a choice: it always holds."""

    cooldown_s: Annotated[float, Field(ge=0, le=30 * _DAY_S)] = 600.0
    max_runs_per_day: Annotated[int, Field(ge=1, le=1000)] = 12


class RetrainAction(FrozenModel):
    """Retrain the model on acquisitions of the session that triggered, and judge the result.

    `frames` new acquisitions are wanted; gathering waits for them for at most `gather_timeout_s`. A part of
    what they hold is held out and decides, by `gates`, whether the challenger replaces the champion.

    Attributes:
        recipe: by its name; any that is installed.
        parameters: of the recipe, beside those that the champion and the fields below give; they win.
        inputs: where the recipe's inputs come from; not needed for the recipes of this project.
        material: of the first model, where the acquisitions do not state it.
        members: of an ensemble; so are `steps`, `learning_rate` and `replay_frames`, for the recipe `elit`.
    """

    kind: Literal["retrain"] = "retrain"
    recipe: Identifier = "elit"
    parameters: dict[str, JsonValue] = {}
    inputs: Annotated[dict[Identifier, InputSource], Field(max_length=16)] = {}
    material: Identifier | None = None
    members: Annotated[int, Field(ge=2, le=64)] = 3
    steps: Annotated[int, Field(ge=10, le=1_000_000)] = 110
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 6e-3
    frames: Annotated[int, Field(ge=8, le=100_000)] = 32
    replay_frames: Annotated[int, Field(ge=0, le=100_000)] = 20
    gather_timeout_s: Annotated[float, Field(gt=0, le=_DAY_S)] = 120.0
    train_timeout_s: Annotated[float, Field(gt=0, le=30 * _DAY_S)] = 3600.0
    gates: Gates = Gates()

    @property
    def sources(self) -> Mapping[str, InputSource]:
        """Where each input comes from; empty for a recipe of somebody else whose inputs nobody declared."""
        return self.inputs or KNOWN_INPUTS.get(self.recipe, {})


class Policy(FrozenModel):
    """One policy file."""

    schema_version: Literal[1] = 1
    name: Identifier
    model: Identifier
    enabled: bool = True
    trigger: Trigger
    guards: Guards = Guards()
    action: RetrainAction = RetrainAction()


class RetrainRequest(FrozenModel):
    """What a retraining is asked to do. The same trigger id is never carried out twice.

    `policy` is None for a run that a person asks for. Session and first sequence number say which frames to
    learn from; they come from the event where there is one.
    """

    trigger_id: Identifier
    policy: Identifier | None = None
    model: Identifier
    event: AnyEvent | None = None
    dataset_id: str | None = None
    session: Identifier | None = None
    first_sequence: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _says_which_frames(self) -> Self:
        if self.session_wanted is None and self.dataset_wanted is None:
            raise ValueError("give a session, a dataset_id, or an event that names one")
        return self

    @property
    def session_wanted(self) -> str | None:
        """Session to learn from."""
        return self.session or getattr(self.event, "session", None)

    @property
    def dataset_wanted(self) -> str | None:
        """Data set to learn from, where the session is not known by name."""
        return self.dataset_id or getattr(self.event, "dataset_id", None)

    @property
    def sequence_wanted(self) -> int:
        """First sequence number to learn from."""
        return max(self.first_sequence, getattr(self.event, "first_sequence", 0))

    @property
    def says_where_to_begin(self) -> bool:
        """Whether the first sequence number was named, not just the session."""
        return self.first_sequence > 0 or hasattr(self.event, "first_sequence")


class PastRun(FrozenModel):
    """What the guards need to know about an earlier run."""

    trigger_id: str
    policy: str | None
    model: str
    admitted: bool
    started_utc: UtcDatetime
    ended_utc: UtcDatetime | None
    alive: bool

    @property
    def in_flight(self) -> bool:
        """Whether it is being carried out; a run that was lost holds nobody back for ever."""
        return self.admitted and self.ended_utc is None and self.alive

    @property
    def last_active_utc(self) -> datetime:
        """When it ended, or else began."""
        return self.ended_utc or self.started_utc


class Decision(FrozenModel):
    """Fire or hold, and why, as one sentence."""

    fire: bool
    reason: str
