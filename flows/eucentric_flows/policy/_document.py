"""A policy: when to act, under which conditions, what holds it back, and what is done."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from eucentric_core import FrozenModel, Identifier

from ._guard_settings import Guards
from .actions import AnyAction, RetrainAction
from .conditions import AnyCondition
from .triggers import AllTrigger, AnyOfTrigger, AnyTrigger

__all__ = ["SCHEMA_VERSION", "Policy"]

SCHEMA_VERSION: Literal[2] = 2
"""What is written today; older files are read by `upgraded`."""

_DEEPEST = 3


class Policy(FrozenModel):
    """One policy file."""

    schema_version: Literal[2] = SCHEMA_VERSION
    name: Identifier
    model: Identifier
    enabled: bool = True
    trigger: AnyTrigger
    conditions: tuple[AnyCondition, ...] = Field(default=(), max_length=16)
    guards: Guards = Guards()
    action: AnyAction = RetrainAction()

    @model_validator(mode="after")
    def _can_ever_act(self) -> Self:
        budget, longest = self.guards.max_node_hours_per_day, self.action.node_hours_at_most
        if budget is not None and longest > budget:
            raise PydanticCustomError(
                "contradiction",
                "{budget} is less than one run may use ({longest} node-hours, by nodes x train_timeout_s of"
                " the action): nothing could ever run",
                {
                    "budget": f"{budget:g}",
                    "longest": f"{longest:g}",
                    "at": ["guards", "max_node_hours_per_day"],
                },
            )
        if _depth(self.trigger) > _DEEPEST:
            raise ValueError(f"triggers are nested deeper than {_DEEPEST}")
        return self


def _depth(trigger: AnyTrigger) -> int:
    if isinstance(trigger, AllTrigger | AnyOfTrigger):
        return 1 + max(_depth(child) for child in trigger.of)
    return 1
