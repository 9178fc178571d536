"""When a policy acts: one module per kind of trigger."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from ._base import EventMatch, Trigger
from ._compound import AllTrigger, AnyOfTrigger
from ._dataset import DatasetTrigger
from ._drift import DriftTrigger
from ._flow import FlowTrigger
from ._frames import FramesTrigger
from ._manual import ManualTrigger
from ._metric import MetricTrigger
from ._schedule import ScheduleTrigger

__all__ = [
    "AllTrigger",
    "AnyOfTrigger",
    "AnyTrigger",
    "DatasetTrigger",
    "DriftTrigger",
    "EventMatch",
    "FlowTrigger",
    "FramesTrigger",
    "ManualTrigger",
    "MetricTrigger",
    "ScheduleTrigger",
    "Trigger",
]

AnyTrigger = Annotated[
    DriftTrigger
    | DatasetTrigger
    | FramesTrigger
    | MetricTrigger
    | ScheduleTrigger
    | ManualTrigger
    | FlowTrigger
    | AllTrigger
    | AnyOfTrigger,
    Field(discriminator="kind"),
]
"""Every kind of trigger, told apart by `kind`."""

AllTrigger.model_rebuild(_types_namespace={"AnyTrigger": AnyTrigger})
AnyOfTrigger.model_rebuild(_types_namespace={"AnyTrigger": AnyTrigger})
