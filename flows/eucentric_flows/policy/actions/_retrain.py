"""Retrain the model by a recipe, and put the result in service if it is better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue, ValidationError

from eucentric_core import FrozenModel, Identifier
from eucentric_model_registry import Gates, MetricGate

from .._errors import PolicyError
from .._inputs import KNOWN_INPUTS, InputSource
from .._wording import duration
from ._base import Cause, FlowOrder, names_data
from ._retrain_request import RetrainRequest

__all__ = ["RetrainAction"]

_DAY_S = 86_400.0


class RetrainAction(FrozenModel):
    """Retrain the model on acquisitions of the session that triggered, and judge the result.

    `frames` new acquisitions are wanted; gathering waits for them for at most `gather_timeout_s`. A part of
    what they hold is held out and decides, by `gates`, whether the challenger replaces the champion.

    Attributes:
        recipe: by its name; any that is installed.
        base_version: of the model, whose weights the training starts from; by default the champion's. The
            result is compared with the champion all the same.
        parameters: of the recipe, beside those that the champion and the fields below give; they win.
        inputs: where the recipe's inputs come from; not needed for the recipes of this project.
        material: of the first model, where the acquisitions do not state it.
        nodes: that a training may occupy at a time, for a budget in node-hours.
        members: of an ensemble; so are `steps`, `learning_rate` and `replay_frames`, for the recipe `elit`.
    """

    kind: Literal["retrain"] = "retrain"
    recipe: Identifier = "elit"
    base_version: Annotated[int, Field(ge=1)] | None = None
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
    nodes: Annotated[int, Field(ge=1, le=10_000)] = 1
    gates: Gates = Gates()

    @property
    def sources(self) -> Mapping[str, InputSource]:
        """Where each input comes from; empty for a recipe of somebody else whose inputs nobody declared."""
        return self.inputs or KNOWN_INPUTS.get(self.recipe, {})

    @property
    def begins_a_run(self) -> bool:
        """See `Action`."""
        return True

    @property
    def node_hours_at_most(self) -> float:
        """See `Action`: training is ended at its limit."""
        return self.nodes * self.train_timeout_s / 3600

    def order(self, cause: Cause) -> FlowOrder:
        """See `Action`."""
        try:
            request = RetrainRequest(
                trigger_id=cause.trigger_id,
                policy=cause.policy,
                model=cause.model,
                event=cause.event,
                dataset_id=None if names_data(cause) else cause.dataset_id,
            )
        except ValidationError as error:
            raise PolicyError(
                "there is no data set to learn from yet",
                safe="nothing was trained.",
                next_step="record one, or trigger by an event that names one.",
            ) from error
        return FlowOrder(flow="retrain", request=request.model_dump(mode="json"))

    def phrase(self, model: str) -> str:
        """See `Action`."""
        return (
            f"model {model} is retrained by {self._how()}; "
            f"the result replaces the champion only if {self._only_if()}"
        )

    def _how(self) -> str:
        start = "" if self.base_version is None else f", starting from v{self.base_version},"
        new = f"{self.frames} new frames (waiting for them at most {duration(self.gather_timeout_s)})"
        if self.recipe == "elit":
            return (
                f"ELIT ({self.members} members, {self.steps} steps each){start} on {new} "
                f"and {self.replay_frames} replayed ones"
            )
        told = ", ".join(f"{name} {value}" for name, value in sorted(self.parameters.items()))
        return f"the recipe {self.recipe}{f' ({told})' if told else ''}{start} on {new}"

    def _only_if(self) -> str:
        if self.recipe == "elit":
            gain, loss = self.gates.min_f1_gain_on_recent, self.gates.max_f1_loss_on_start
            return (
                f"its F1 on held-out recent frames is better by more than {gain:g} "
                f"and on the start data worse by at most {loss:g}"
            )
        if self.gates.metrics:
            return "on held-out data " + " and ".join(_limit(gate) for gate in self.gates.metrics)
        return "it is better on held-out data by the recipe's own figures"


def _limit(gate: MetricGate) -> str:
    for bound, words in (("at_least", "at least"), ("at_most", "at most")):
        if (value := getattr(gate, bound)) is not None:
            return f"{gate.metric} is {words} {value:g}"
    if gate.min_gain is not None:
        return f"{gate.metric} is {gate.better} than the champion's by more than {gate.min_gain:g}"
    return f"{gate.metric} is worse than the champion's by at most {gate.max_loss:g}"
