"""What must hold when a trigger is met: one module per kind of condition."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ._base import Condition
from ._champion import ChampionCondition
from ._event import EventCondition
from ._last_run import LastRunCondition

__all__ = ["AnyCondition", "ChampionCondition", "Condition", "EventCondition", "LastRunCondition"]

AnyCondition = Annotated[EventCondition | ChampionCondition | LastRunCondition, Field(discriminator="kind")]
"""Every kind of condition, told apart by `kind`."""
